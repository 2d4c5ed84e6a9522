"""Tiny random backbones of every kind, saved as transformers saves a real one."""

import atexit
import importlib
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

KINDS = ("wavlm", "hubert", "wav2vec2", "data2vec-audio", "whisper")
DIM, LAYERS = 32, 2
WHISPER_FRAMES = 100
"""Frames that the tiny Whisper takes at once, where the real one takes 1500."""

WAVEFORM_SHAPE: dict[str, Any] = {
    "hidden_size": DIM,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embedding_groups": 2,
    "initializer_range": 0.2,
}
WHISPER_SHAPE: dict[str, Any] = {
    "d_model": DIM,
    "encoder_layers": LAYERS,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 64,
    "num_mel_bins": 16,
    "max_source_positions": WHISPER_FRAMES,
    "vocab_size": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "init_std": 0.2,
}


WEIGHTS = "model.safetensors"


def in_cache(cache: Path, model_id: str, commit: str) -> Path:
    """Where huggingface_hub has this commit of a model."""
    return cache / f"models--{model_id.replace('/', '--')}" / "snapshots" / commit


@lru_cache
def tiny_backbone(kind: str) -> Path:
    """The folder of a backbone, made once for all tests. Not to be changed: `save_backbone` makes others."""
    folder = Path(tempfile.mkdtemp(prefix=f"{kind}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return save_backbone(folder, kind)


def save_backbone(folder: Path, kind: str, seed: int = 0, *, model_class: str | None = None, normalise: bool = True, **shape: Any) -> Path:
    """
    Args:
        model_class: of transformers, where it is not the backbone alone, such as `WhisperForConditionalGeneration` or `HubertForCTC`.
        shape: what the config should have otherwise.
    """
    import transformers

    config, default, features = recipe(kind, shape, normalise)
    torch.manual_seed(seed)
    model = (getattr(transformers, model_class) if model_class else default)(config)
    with torch.no_grad():
        for weight in model.parameters():  # biases, and norms that do something
            weight.add_(0.1 * torch.randn_like(weight))
    model.save_pretrained(folder)
    features.save_pretrained(folder)
    return folder


def recipe(kind: str, shape: dict[str, Any], normalise: bool) -> tuple[Any, Any, Any]:
    """Config, model class, feature extractor."""
    library: Any = importlib.import_module("transformers")
    if kind == "whisper":
        features = library.WhisperFeatureExtractor(feature_size=WHISPER_SHAPE["num_mel_bins"], chunk_length=WHISPER_FRAMES // 50)
        encoder = importlib.import_module("transformers.models.whisper.modeling_whisper").WhisperEncoder
        return library.WhisperConfig(**WHISPER_SHAPE | shape), encoder, features
    features = library.Wav2Vec2FeatureExtractor(do_normalize=normalise)
    own: dict[str, Any] = {"num_conv_pos_embeddings": 16}
    if kind == "data2vec-audio":
        own = {"num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 5}
    name = {"wavlm": "WavLM", "hubert": "Hubert", "wav2vec2": "Wav2Vec2", "data2vec-audio": "Data2VecAudio"}[kind]
    return getattr(library, f"{name}Config")(**WAVEFORM_SHAPE | own | shape), getattr(library, f"{name}Model"), features
