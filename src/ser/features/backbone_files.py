"""Location, shape and identity of a speech backbone, without importing torch.

A folder has the files that transformers' `save_pretrained` writes: `config.json`, `preprocessor_config.json` and the weights. A model of
the hub is such a folder in the cache of huggingface_hub. The two small files are enough to describe it; the weights are downloaded later.
"""

import json
import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypedDict

from ser.config import SslConfig
from ser.errors import ConfigError, DataError
from ser.home import user_path
from ser.system.files import sha256_file

log = logging.getLogger(__name__)

CODE_VERSION = 1
"""Version of `features.backbone`, part of the store's fingerprint; to be raised if a change there changes the results. It is defined here
because the name of a store is found without importing torch."""

PINNED = {
    "facebook/data2vec-audio-base-960h": "32331f3123e703528918aa688a9a38232d58c872",
    "facebook/hubert-base-ls960": "dba3bb02fda4248b6e082697eee756de8fe8aa8a",
    "facebook/hubert-large-ll60k": "ff022d095678a2995f3c49bab18a96a9e553f782",
    "facebook/wav2vec2-base": "0b5b8e868dd84f03fd87d01f9c4ff0f080fecfe8",
    "facebook/wav2vec2-base-960h": "22aad52d435eb6dbaf354bdad9b0da84ce7d6156",
    "facebook/wav2vec2-xls-r-300m": "1a640f32ac3e39899438a2931f9924c02f080a54",
    "microsoft/wavlm-base": "efa81aae7ff777e464159e0f877d54eac5b84f81",
    "microsoft/wavlm-base-plus": "4c66d4806a428f2e922ccfa1a962776e232d487b",
    "microsoft/wavlm-large": "c1423ed94bb01d80a3f5ce5bc39f6026a0f4828c",
    "openai/whisper-base": "e37978b90ca9030d5170a5c07aadb050351a65bb",
    "openai/whisper-large-v3": "06f233fe06e710322aca913c1bc4249a0d71fce1",
    "openai/whisper-small": "973afd24965f72e36ca33b3055d56a652f456b4d",
    "openai/whisper-tiny": "169d4a4341b33bc18d8881c4b69c2e104e1cc0af",
}
"""{hub model: commit} of the models that work without `ssl.revision`. A branch may move, which would change the stored features."""

KINDS = ("wavlm", "hubert", "wav2vec2", "data2vec-audio", "whisper")
CONFIG = "config.json"
"""File with the architecture of the network."""
PREPROCESSOR = "preprocessor_config.json"
"""File with the format of the input."""
SETTINGS = (CONFIG, PREPROCESSOR)
SNAPSHOTS = "snapshots"
"""Folder in that of a model in the cache of huggingface_hub: one folder for each commit."""
CARD = "README.md"
WEIGHTS = (
    ("model.safetensors",),
    ("model.safetensors.index.json", "model-*-of-*.safetensors"),
    ("pytorch_model.bin",),
    ("pytorch_model.bin.index.json", "pytorch_model-*-of-*.bin"),
)
"""Names of the weight files, whole or in parts. The first that a folder has are loaded, as in transformers."""
INDEX = ".index.json"
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
NETWORK_SECONDS = 10.0
ADVICE = "run it once with a network, or point ssl.model_id at a local folder"
NO_WEIGHTS = "weights not downloaded yet: the transform step downloads them once"
"""Message about a backbone whose weights are missing."""

Settings = Mapping[str, Any]
"""A JSON object written by transformers; its values are checked when they are used."""


class Identity(TypedDict, total=False):
    """Identity of a backbone: id and commit of a hub model, or checksums of the files in a folder."""

    model_id: str
    revision: str
    sha256: dict[str, str]


class BackboneShape(TypedDict):
    """Fields of a `Backbone` that follow from its settings."""

    num_states: int
    dim: int
    min_samples: int
    frame_samples: int
    max_samples: int | None


@dataclass(frozen=True, slots=True)
class Backbone:
    """A backbone whose settings files are on this machine; the weights may be missing, see `has_weights`."""

    kind: str
    """`model_type` in config.json, one of KINDS."""
    location: str
    """Folder to load it from."""
    num_states: int
    """Number of hidden states: the input of the first transformer layer and the output of each."""
    dim: int
    """Number of dimensions of a hidden state."""
    frame_rate: float
    """Frames a second, in hertz."""
    sample_rate: int
    """Sample rate of the input in hertz."""
    min_samples: int
    """Number of samples of the shortest clip with one frame."""
    frame_samples: int
    """Number of samples of each further frame."""
    max_samples: int | None
    """Maximum number of input samples (Whisper: 30 s); None for no limit."""
    identity: Identity
    """Everything that the features depend on, as JSON: hub model and commit, or checksums of a folder's files, but not its path."""


def snapshot_of(folder: Path) -> Path:
    """The model in a folder of huggingface_hub's cache (models--owner--name), which keeps its files below snapshots/<commit>; any other
    folder as it is.

    Raises:
        ConfigError: it holds several snapshots.
    """
    if (folder / CONFIG).exists() or not (folder / SNAPSHOTS).is_dir():
        return folder
    found = sorted(path for path in (folder / SNAPSHOTS).iterdir() if path.is_dir())
    if len(found) > 1:
        raise ConfigError(f"ssl.model_id {folder} holds {len(found)} snapshots: give one of them, such as {found[0]}")
    return found[0] if found else folder


def find_backbone(config: SslConfig) -> Backbone:
    """Find the backbone of a config in a local folder, the cache of huggingface_hub or the network, in this order, without its weights.

    Raises:
        ConfigError: a hub model has neither a revision nor a pinned one.
        DataError: the files are missing and cannot be downloaded, or are corrupted, or are not a backbone of these kinds.
    """
    folder = snapshot_of(user_path(config.model_id))
    if folder.is_dir():
        return read_backbone(folder, {"sha256": checksums(folder)})
    if not HUB_NAME.fullmatch(config.model_id) or config.model_id.startswith("."):
        raise DataError(f"ssl.model_id {config.model_id}: there is no such folder, and it is not the name of a hub model (owner/name)")
    revision = config.revision or PINNED.get(config.model_id)
    if revision is None:
        raise ConfigError(
            f"ssl.model_id {config.model_id} is not among the models whose commit is pinned: give the commit as ssl.revision, "
            f"or take one of {', '.join(PINNED)}, or a local folder"
        )
    folder = cached(config.model_id, revision) or download(config.model_id, revision, SETTINGS)
    return read_backbone(folder, {"model_id": config.model_id, "revision": revision})


def hidden_states(config: SslConfig, backbone: Backbone) -> tuple[int, ...]:
    """The configured hidden states in ascending order.

    Raises:
        ConfigError: the backbone has fewer hidden states.
    """
    if config.layers == "all":
        return tuple(range(backbone.num_states))
    last, has = config.layers[-1], backbone.num_states
    if last >= has:
        raise ConfigError(f"ssl.layers includes hidden state {last}; {config.model_id} has {has}: 0 to {has - 1}")
    return config.layers


def refuse_rate(config: SslConfig, backbone: Backbone, sample_rate: int) -> None:
    """Check the sample rate of the audio in hertz.

    Raises:
        ConfigError: the backbone has another sample rate.
    """
    if sample_rate != backbone.sample_rate:
        raise ConfigError(f"audio.sampling_rate is {sample_rate} Hz; {config.model_id} takes {backbone.sample_rate} Hz")


def read_backbone(folder: Path, identity: Identity) -> Backbone:
    """Read the description of a backbone from the two settings files in its folder.

    Raises:
        DataError: a file is absent or damaged, or the model is of another kind.
    """
    config, preprocessor = read_settings(folder / CONFIG), read_settings(folder / PREPROCESSOR)
    kind = config.get("model_type")
    if kind not in KINDS:
        raise DataError(f"{folder} has a model of type {kind}; a backbone is one of {', '.join(KINDS)}")
    try:
        shape = whisper_shape(config, preprocessor) if kind == "whisper" else waveform_shape(config)
        rate = positive(preprocessor["sampling_rate"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder}: {CONFIG} or {PREPROCESSOR} is incomplete ({type(error).__name__}: {error})") from error
    return Backbone(kind=kind, location=str(folder), sample_rate=rate, frame_rate=rate / shape["frame_samples"], identity=identity, **shape)


def waveform_shape(config: Settings) -> BackboneShape:
    """Shape of wav2vec 2.0 and related models, whose frames are computed by convolutions without padding over the waveform.

    >>> shape = {"hidden_size": 768, "num_hidden_layers": 12}
    >>> waveform_shape({**shape, "conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2]})
    {'num_states': 13, 'dim': 768, 'min_samples': 400, 'frame_samples': 320, 'max_samples': None}
    """
    seen = 1
    for kernel, stride in reversed(list(zip(config["conv_kernel"], config["conv_stride"], strict=True))):
        seen = (seen - 1) * positive(stride) + positive(kernel)
    return {
        "num_states": positive(config["num_hidden_layers"]) + 1,
        "dim": positive(config["hidden_size"]),
        "min_samples": seen,
        "frame_samples": math.prod(config["conv_stride"]),
        "max_samples": None,
    }


def whisper_shape(config: Settings, preprocessor: Settings) -> BackboneShape:
    """Shape of Whisper's encoder, whose second convolution has stride 2 over the frames of the log-mel spectrogram.

    >>> whisper_shape({"d_model": 512, "encoder_layers": 6, "max_source_positions": 1500}, {"hop_length": 160})
    {'num_states': 7, 'dim': 512, 'min_samples': 320, 'frame_samples': 320, 'max_samples': 480000}
    """
    samples = 2 * positive(preprocessor["hop_length"])
    return {
        "num_states": positive(config["encoder_layers"]) + 1,
        "dim": positive(config["d_model"]),
        "min_samples": samples,
        "frame_samples": samples,
        "max_samples": positive(config["max_source_positions"]) * samples,
    }


def positive(value: object) -> int:
    """
    Raises:
        ValueError: it is not a whole number above 0.
    """
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{value!r} is not a whole number above 0")
    return value


def read_settings(path: Path) -> Settings:
    """Read a JSON object.

    Raises:
        DataError: the file is missing or not a JSON object.
    """
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path.parent} is not a backbone: {path.name}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is corrupted: {error}") from error
    if not isinstance(settings, dict):
        raise DataError(f"{path} is corrupted: it is not a JSON object")
    return settings


def read_licence(folder: Path) -> str | None:
    """Licence in the model card of a backbone's folder, such as `mit`; None if there is no card or it does not state one."""
    try:
        card = (folder / CARD).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    head = re.match(r"---\n(.*?)\n---", card, re.DOTALL)
    found = re.search(r"^license: *['\"]?([\w.+-]+)", head[1], re.MULTILINE) if head else None
    return found[1] if found else None


def weight_files(folder: Path) -> list[Path]:
    """Paths of the weight files.

    Raises:
        DataError: some or all are missing.
    """
    absent = absent_weights(folder)
    if absent:
        raise DataError(f"{folder} is not a backbone: it lacks weights ({absent})")
    return next(files for patterns in WEIGHTS if (files := matching(folder, patterns)))


def absent_weights(folder: Path) -> str:
    """Description of the missing weight files; empty if none is missing. The parts of a divided model are listed in its index.

    Raises:
        DataError: the index is corrupted.
    """
    first = next((names[0] for names in WEIGHTS if (folder / names[0]).exists()), None)
    if first is None:
        return "model.safetensors or pytorch_model.bin"
    if not first.endswith(INDEX):
        return ""
    parts = read_settings(folder / first).get("weight_map")
    if not isinstance(parts, dict) or not parts:
        raise DataError(f"{folder / first} is corrupted: it does not list any weights")
    absent = sorted({str(part) for part in parts.values() if not (folder / str(part)).exists()})
    return f"{absent[0]}{f' and {len(absent) - 1} more' if absent[1:] else ''}" if absent else ""


def matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    return sorted(path for pattern in patterns for path in folder.glob(pattern))


def checksums(folder: Path) -> dict[str, str]:
    """{name: SHA-256} of each file that the features depend on."""
    files = [*weight_files(folder), *matching(folder, (CONFIG, PREPROCESSOR))]
    return {path.name: checksum((path, path.stat().st_size, path.stat().st_mtime_ns)) for path in files}


@lru_cache(maxsize=64)
def checksum(version: tuple[Path, int, int]) -> str:
    """SHA-256 of a file, cached by path, size and modification time, because it is computed for every shard."""
    return sha256_file(version[0])


def cached(model_id: str, revision: str) -> Path | None:
    """Folder of a model in the cache of huggingface_hub, or None if its settings are not there. Does not use the network."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(model_id, CONFIG, revision=revision)
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    return folder if (folder / PREPROCESSOR).exists() else None


def has_weights(backbone: Backbone) -> bool:
    """Whether all weight files are on this machine; a download may have been interrupted. Raises the errors of `absent_weights`."""
    return not absent_weights(Path(backbone.location))


def fetch_weights(backbone: Backbone) -> None:
    """Download the weights of a hub model next to its settings, unless they are there.

    Raises:
        DataError: as of `download`, or the hub has none.
    """
    if has_weights(backbone):
        return
    model_id, revision = backbone.identity["model_id"], backbone.identity["revision"]
    log.info("downloading %s, once", model_id)
    for patterns in (WEIGHTS[:2], WEIGHTS[2:]):  # some models have only one format; a model with both is not downloaded twice
        download(model_id, revision, [*SETTINGS, *(name for names in patterns for name in names)])
        if has_weights(backbone):
            return
    raise DataError(f"ssl.model_id {model_id}, revision {revision}: the hub has no weights; {ADVICE}")


def download(model_id: str, revision: str, wanted: Sequence[str]) -> Path:
    """Download files of a model from the hub to the cache of huggingface_hub. Files of an interrupted download are not downloaded again.

    Raises:
        DataError: the hub cannot be reached, or has no such model.
    """
    from huggingface_hub import snapshot_download

    if not hub_answers():
        raise DataError(f"ssl.model_id {model_id}: the model's files are not on this machine and the hub cannot be reached; {ADVICE}")
    try:
        return Path(snapshot_download(model_id, revision=revision, allow_patterns=list(wanted)))
    except Exception as error:  # errors of the network, the hub (no such model, no access) or the disk
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"ssl.model_id {model_id}, revision {revision}: the download failed ({reason}); {ADVICE}") from error


def hub_answers() -> bool:
    """Whether the hub can be reached, with one request; the library itself retries for half a minute."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=NETWORK_SECONDS)
    except Exception:  # any error of the network, a proxy or HF_HUB_OFFLINE
        return False
    return True
