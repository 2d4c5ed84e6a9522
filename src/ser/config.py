"""The configuration of an experiment: one small frozen class for each part, and `ExperimentConfig`, which holds them all.

Each part of the program is given its own config only, and saves it next to its results. `ser.config_file` reads configs from YAML. The
text below each field is its entry in docs/configuration.md, which scripts/write_configuration.py writes. Importing this module loads no
torch.
"""

from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from ser.emotions import EMOTIONS
from ser.errors import ConfigError
from ser.families import entry_of, feature_names
from ser.home import expand_home

Corpus = Literal["crema", "ravdess", "savee", "tess"]
"""Name of a corpus."""
Emotion = Literal["neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise"]
"""An emotion of the common vocabulary."""
Share = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole, from 0 to 1."""
Positive = Annotated[int, Field(ge=1)]
"""A count of at least 1."""
Layer = Annotated[int, Field(ge=0)]
"""Index of a hidden state of a backbone; 0 is the input of the first layer."""
Range = tuple[float, float]
"""(lower end, upper end) of a range to draw from."""
Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""Seed of a random generator."""
Name = TypeVar("Name", str, int)


def at_home(path: str) -> str:
    """A path without `~`.

    Raises:
        ValueError: as of `ser.home.expand_home`.
    """
    try:
        return expand_home(path)
    except ConfigError as error:
        raise ValueError(str(error)) from None


Folder = Annotated[str, Field(min_length=1), AfterValidator(at_home)]
"""Path of a folder, relative to the working directory or absolute; `~` is the home folder."""


def corpus_and_name(speaker: object) -> object:
    """
    Raises:
        ValueError: a speaker is not written with its corpus: the number alone is ambiguous, because every corpus counts from 1.
    """
    if not isinstance(speaker, str) or not all(speaker.partition("/")):
        raise ValueError("a speaker is written as corpus/name, like ravdess/21")
    return speaker


Speaker = Annotated[str, BeforeValidator(corpus_and_name)]
"""A speaker, as in the manifest."""


def known_feature(value: object) -> str:
    """The name of a feature, of any family in `ser.families`.

    Raises:
        ValueError: there is no such feature.
    """
    names = feature_names()
    if not isinstance(value, str) or value not in names:
        expected = f"{', '.join(map(repr, names[:-1]))} or {names[-1]!r}"
        raise ValueError(f"Input should be {expected}")
    return value


Feature = Annotated[str, PlainValidator(known_feature), WithJsonSchema({"type": "string", "enum": list(feature_names())})]
"""Name of a feature of any family."""


class Config(BaseModel):
    """Base of all configs: immutable, and an unknown key is an error.

    pydantic builds the validator of a config on first use, not on import, and nested defaults are built with it: a prediction, which needs
    one of them, does not wait for all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class ProjectConfig(Config):
    """Folders, corpora and the seed of training."""

    raw_dir: Folder = "data/raw"
    """Folder with the audio of the corpora, one subfolder for each; never modified."""
    processed_dir: Folder = "data/processed"
    """Folder for the manifest, the splits and the feature stores."""
    runs_dir: Folder = "runs"
    """Folder for trained models, one subfolder for each run."""
    reports_dir: Folder = "reports"
    """Folder for figures."""
    corpora: tuple[Corpus, ...] = Field(default=("crema", "ravdess", "savee", "tess"), min_length=1)
    """Corpora to index. A corpus without a folder below `raw_dir` is skipped with a warning."""
    seed: Seed = 42
    """Random seed of training: initial weights, order of batches, masks and dropout."""
    max_unreadable: Share = 0.05
    """Largest share of unreadable files in a corpus; above it the extract step stops."""

    @field_validator("corpora")
    @classmethod
    def each_once(cls, corpora: tuple[str, ...]) -> tuple[str, ...]:
        return without_repeats(corpora)


class AudioConfig(Config):
    """Conversion of an audio file to the waveform that features are computed from."""

    sampling_rate: int = Field(default=16_000, ge=4_000, le=192_000)
    """Sampling rate of the waveform in Hz; files at other rates are resampled."""
    trim_silence: bool = True
    """Whether to cut silence at the start and the end of a clip."""
    trim_top_db: float = Field(default=30.0, gt=0)
    """Threshold for silence in dB below the loudest frame; quieter frames at both ends are cut."""
    duration: float | None = Field(default=5.0, gt=0.1, le=3600)
    """Maximum length of a clip in seconds; longer clips are cropped around their centre. `null` keeps the whole clip."""
    pad: bool = False
    """Whether to pad shorter clips with zeros to `duration`. Not needed for training, which masks padding and batches clips by length."""


class MelConfig(Config):
    """Log-mel spectrogram in dB, on Slaney's mel scale."""

    n_mels: Positive = 128
    """Number of mel bands."""
    fmin: float = Field(default=0.0, ge=0)
    """Lower edge of the lowest mel filter in Hz."""
    fmax: float | None = Field(default=None, gt=0)
    """Upper edge of the highest mel filter in Hz; `null` is half the sampling rate."""

    @model_validator(mode="after")
    def low_below_high(self) -> Self:
        if self.fmax is not None and self.fmin >= self.fmax:
            raise ValueError(f"fmin {self.fmin:g} Hz is not below fmax {self.fmax:g} Hz")
        return self


class MfccConfig(Config):
    """Mel-frequency cepstral coefficients: a cosine transform (DCT-II) of the log-mel spectrogram."""

    n_mfcc: Positive = 40
    """Number of coefficients; at most `features.mel.n_mels`."""


class ChromaConfig(Config):
    """Energy of each pitch class, summed over octaves."""

    n_chroma: Positive = 12
    """Number of pitch classes in an octave; 12 gives semitones."""


class FeaturesConfig(Config):
    """Features that the transform step computes and stores."""

    types: tuple[Feature, ...] = Field(default=("mel", "mfcc", "chroma"), min_length=1)
    """Features to compute, always stored in the order ssl, mel, mfcc, chroma. `ssl` is configured in its own section."""
    n_fft: int = Field(default=1024, ge=64)
    """Length of the Fourier transform and of its Hann window in samples."""
    hop_length: Positive = 256
    """Number of samples between the starts of consecutive frames; at most `n_fft`."""
    mel: MelConfig = Field(default_factory=MelConfig)
    mfcc: MfccConfig = Field(default_factory=MfccConfig)
    chroma: ChromaConfig = Field(default_factory=ChromaConfig)
    dtype: Literal["float32", "float16"] = "float32"
    """Number format of the stored spectral features; `float16` halves the disk space."""
    shard_clips: int = Field(default=256, ge=1, le=4096)
    """Number of clips in one file of the feature store, which is also the unit of parallel work, of resuming and of repair."""

    @field_validator("types")
    @classmethod
    def in_canonical_order(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        return canonical_order(types)

    @model_validator(mode="after")
    def frames_leave_no_gap(self) -> Self:
        if self.hop_length > self.n_fft:
            raise ValueError(f"hop_length {self.hop_length} exceeds n_fft {self.n_fft}: samples between frames would be lost")
        return self

    @model_validator(mode="after")
    def mfcc_fits_mel(self) -> Self:
        if self.mfcc.n_mfcc > self.mel.n_mels:
            raise ValueError(f"mfcc.n_mfcc {self.mfcc.n_mfcc} exceeds mel.n_mels {self.mel.n_mels}")
        return self


class SslConfig(Config):
    """Frozen self-supervised speech model (backbone) whose hidden states are the feature `ssl`."""

    model_id: Folder = "microsoft/wavlm-base-plus"
    """Path of a folder with `config.json` and weights, or name of a model on the Hugging Face hub: WavLM, HuBERT, wav2vec 2.0,
    data2vec-audio or Whisper."""
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """Commit of the hub model. `null` uses the commit pinned by this program; models that it does not pin need one. Ignored for a local
    folder."""
    layers: Literal["all"] | tuple[Layer, ...] = "all"
    """Hidden states to store: `all`, one number, or a list. 0 is the input of the first layer. The model learns a weighted mean of
    several."""
    time_pool: Positive = 2
    """Number of neighbouring frames that are averaged before storing; 2 gives 25 frames a second and halves the disk space."""
    shard_clips: int = Field(default=64, ge=1, le=4096)
    """Number of clips in one file of the backbone's feature store; see `features.shard_clips`."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of the backbone. `auto` uses bf16 on processors and GPUs with instructions for it, fp32 elsewhere; load and train also
    accept a finished store of the other precision where this machine has none of its own."""
    dtype: Literal["float16", "float32"] = "float16"
    """Number format of the stored hidden states."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device of the backbone. `auto` uses CUDA if a GPU is available, otherwise the CPU."""
    batch_seconds: float = Field(default=160.0, gt=0)
    """Audio in one batch on a GPU, in seconds; only clips of equal length share a batch. On a CPU clips are processed one at a time."""

    @field_validator("layers", mode="before")
    @classmethod
    def all_or_one_or_a_list(cls, layers: object) -> object:
        """Accept `all`, one number or a list, and sort the list. One error message, where the union would give one for each member."""
        if layers == "all":
            return layers
        several = tuple(layers) if isinstance(layers, (list, tuple)) else (layers,)
        if not several or any(type(layer) is not int or layer < 0 for layer in several) or len(set(several)) < len(several):
            raise ValueError("give all, one hidden state such as 9, or a list of hidden states, each once")
        return tuple(sorted(several))


class SplitConfig(Config):
    """Division of the clips into training, validation and test sets."""

    name: str = Field(default="default", max_length=100, pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$")
    """Name of the split and of its folder below `processed_dir/splits`; use one name for each label set or protocol."""
    rule: Literal["speakers", "explicit-speakers", "explicit-ids", "random"] = "speakers"
    """How clips are assigned. `speakers` draws speakers, balanced over corpus and gender; `explicit-speakers` and `explicit-ids` take the
    lists below; `random` ignores speakers, to measure the effect of leakage."""
    kind: Literal["speaker-disjoint", "sample-disjoint", "none"] = "speaker-disjoint"
    """Separation that the split's certificate declares and that every later step checks."""
    seed: Seed = 42
    """Random seed of the draw of speakers, or of clips with rule `random`."""
    corpora: tuple[Corpus, ...] | None = None
    """Corpora to use; `null` uses every corpus of the manifest."""
    val_share: float = Field(default=0.13, gt=0, lt=0.5)
    """Share of the speakers of each corpus and gender that is drawn for validation."""
    test_share: float = Field(default=0.21, gt=0, lt=0.5)
    """Share of the speakers of each corpus and gender that is drawn for testing. The default gives RAVDESS, with 24 speakers, the five test
    speakers that a confidence interval needs."""
    val_speakers: tuple[Speaker, ...] = ()
    """Validation speakers, such as `ravdess/07`, for rule `explicit-speakers`. Speakers in neither list are used for training."""
    test_speakers: tuple[Speaker, ...] = ()
    """Test speakers for rule `explicit-speakers`; see `val_speakers`."""
    val_ids: tuple[str, ...] = ()
    """Ids of the validation clips, for rule `explicit-ids`. Clips in neither list are used for training."""
    test_ids: tuple[str, ...] = ()
    """Ids of the test clips for rule `explicit-ids`; see `val_ids`."""

    @model_validator(mode="after")
    def lists_fit_the_rule(self) -> Self:
        if bool(self.val_speakers or self.test_speakers) != (self.rule == "explicit-speakers"):
            raise ValueError("val_speakers and test_speakers go with rule explicit-speakers, and only with it")
        if bool(self.val_ids or self.test_ids) != (self.rule == "explicit-ids"):
            raise ValueError("val_ids and test_ids go with rule explicit-ids, and only with it")
        both = (set(self.val_speakers) & set(self.test_speakers)) | (set(self.val_ids) & set(self.test_ids))
        if both:
            lists = "val_speakers and test_speakers" if self.rule == "explicit-speakers" else "val_ids and test_ids"
            raise ValueError(f"{lists} share {', '.join(sorted(both)[:5])}")
        if self.rule == "random" and self.kind == "speaker-disjoint":
            raise ValueError("rule random cannot be speaker-disjoint: declare kind sample-disjoint or none")
        return self


class ProtocolConfig(Config):
    """Named evaluation protocol to run with `ser protocol run`, and how often."""

    name: str | None = None
    """Name of the protocol as shown by `ser protocol list`, such as `ravdess/emobox`; `null` takes it from the command line."""
    fold: str | None = None
    """Name of the fold that a run belongs to; set by `ser protocol run`."""
    seeds: tuple[Seed, ...] = Field(default=(1, 2, 3), min_length=1)
    """Random seeds of training; every fold is trained once with each."""

    @field_validator("seeds")
    @classmethod
    def each_once(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        return without_repeats(seeds)


class LabelMapping(Config):
    """Mapping of the corpora's emotions to the classes of the model."""

    merge: dict[Emotion, Emotion] = {}
    """Emotions that count as another one: `{calm: neutral}` treats calm clips as neutral. Applied before `keep`."""
    keep: tuple[Emotion, ...] = Field(default=EMOTIONS, min_length=2)  # type: ignore[arg-type]
    """Emotions to use as classes; clips of other emotions are left out of the split."""

    @field_validator("keep")
    @classmethod
    def in_vocabulary_order(cls, keep: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(emotion for emotion in EMOTIONS if emotion in without_repeats(keep))

    @model_validator(mode="after")
    def merged_into_something_kept(self) -> Self:
        for source, target in self.merge.items():
            if target in self.merge:
                raise ValueError(f"{source} is merged into {target}, which is itself merged away")
            if target not in self.keep:
                raise ValueError(f"{source} is merged into {target}, which is not kept")
        return self

    @property
    def mapping(self) -> "LabelMapping":
        """The mapping alone, without what a subclass adds."""
        return LabelMapping(merge=self.merge, keep=self.keep)


class LabelsConfig(LabelMapping):
    """Mapping of the corpora's emotions to the classes of the model."""

    missing: Literal["drop", "error"] = "drop"
    """Treatment of a class that no clip of the chosen corpora has: `drop` warns and trains without it, `error` stops. Published protocols
    stop."""


class AugmentationsConfig(Config):
    """Waveform augmentation of the training set, disabled with 0 copies. Pitch shift and time stretching need the extra `augment`."""

    copies: int = Field(default=0, ge=0, le=20)
    """Number of altered copies of every training clip (`<id>~1` and so on); each epoch uses one version of a clip, drawn at random."""
    probability: Share = 0.5
    """Probability of each alteration below."""
    noise_snr_db: Range | None = (10.0, 30.0)
    """Range of the signal-to-noise ratio of added white noise in dB; `null` adds none."""
    pitch_semitones: Range | None = None
    """Range of the pitch shift in semitones, negative for down; `null` leaves the pitch unchanged."""
    stretch_rate: Range | None = None
    """Range of the time-stretching factor, which keeps the pitch; `null` disables it."""
    speed: Range | None = (0.9, 1.1)
    """Range of the playback-speed factor, which shifts pitch and formants as well and so changes the voice; `null` disables it."""
    seed: Seed = 42
    """Random seed of augmentation; with the clip's id and the number of the copy it determines a copy."""

    @property
    def needs_library(self) -> bool:
        """Whether a copy is altered by anything that the extra brings."""
        return bool(self.pitch_semitones or self.stretch_rate)

    @field_validator("noise_snr_db", "pitch_semitones", "stretch_rate", "speed")
    @classmethod
    def low_before_high(cls, value: Range | None) -> Range | None:
        if value is not None and value[0] > value[1]:
            raise ValueError(f"the lower end {value[0]:g} is above the upper end {value[1]:g}")
        return value

    @field_validator("stretch_rate", "speed")
    @classmethod
    def rate_is_positive(cls, value: Range | None) -> Range | None:
        if value is not None and value[0] <= 0:
            raise ValueError("a rate must be above 0")
        return value


class SpecAugmentConfig(Config):
    """Masking of training batches (SpecAugment, Park et al. 2019), after normalisation and within the real frames of a clip."""

    freq_masks: int = Field(default=2, ge=0)
    """Number of frequency masks for each clip and feature; 0 disables them."""
    freq_share: Share = 0.15
    """Maximum width of a frequency mask, as a share of the feature's rows."""
    time_masks: int = Field(default=2, ge=0)
    """Number of time masks for each clip and feature; 0 disables them."""
    time_share: Share = 0.15
    """Maximum width of a time mask, as a share of the clip's frames without padding."""


class SpectralCrnnConfig(Config):
    """Architecture of `spectral_crnn`: CNN branches, fusion and recurrent layers."""

    channels: tuple[Positive, Positive] = (24, 48)
    """Number of output channels of the two convolution blocks, each followed by a max-pool."""
    pools: tuple[tuple[Positive, Positive], tuple[Positive, Positive]] = ((2, 2), (4, 2))
    """Size of the two max-pools, each as (frequency, time)."""
    branch_dim: Positive = 96
    """Number of units of each branch at each time step."""
    bottleneck_dim: Positive = 160
    """Number of units after the branches are concatenated and projected."""
    gru_dim: Positive = 128
    """Number of hidden units of the GRU in each direction."""
    gru_layers: int = Field(default=1, ge=1, le=4)
    """Number of recurrent layers."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Dropout rate after the bottleneck and before the classifier."""


class SslExpertConfig(Config):
    """Expert for the hidden states of the backbone."""

    dim: Positive = 128
    """Number of units of each frame after the projection."""
    layers: int = Field(default=1, ge=0, le=12)
    """Number of Transformer encoder layers; 0 uses none."""
    heads: Positive = 4
    """Number of attention heads of the encoder; must divide `dim`."""
    ff_dim: Positive = 256
    """Number of hidden units of the encoder's feed-forward networks."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Dropout rate of the projected frames and in the encoder."""

    @model_validator(mode="after")
    def heads_divide_dim(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is not a multiple of heads {self.heads}")
        return self


class SpectralExpertConfig(Config):
    """Expert for one spectral feature."""

    channels: tuple[Positive, ...] = Field(default=(96, 96, 128), min_length=1, max_length=6)
    """Number of output channels of each convolution over time; each convolution halves the frame rate."""
    kernel: int = Field(default=5, ge=3, le=15)
    """Kernel size of the convolutions in frames; must be odd."""
    layers: int = Field(default=0, ge=0, le=12)
    """Number of Transformer encoder layers after the convolutions; 0 uses none."""
    heads: Positive = 4
    """Number of attention heads of the encoder; must divide the last of `channels`."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Dropout rate after each convolution and in the encoder."""

    @model_validator(mode="after")
    def shapes_fit(self) -> Self:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} is not odd")
        if self.layers and self.channels[-1] % self.heads:
            raise ValueError(f"the last of channels, {self.channels[-1]}, is not a multiple of heads {self.heads}")
        return self


class SslSpectralMoeConfig(Config):
    """Architecture of `ssl_spectral_moe`: experts, gate, fusion and two additional losses."""

    ssl: SslExpertConfig = Field(default_factory=SslExpertConfig)
    spectral: SpectralExpertConfig = Field(default_factory=SpectralExpertConfig)
    """Architecture of each spectral expert."""
    fusion: Literal["gate", "concat"] = "gate"
    """How the experts' vectors are combined. `gate` adds them with softmax weights; `concat` concatenates them, as a baseline."""
    fusion_dim: Positive = 128
    """Number of units of each expert's output vector and of the classifier's hidden layer."""
    gate_dim: Positive = 64
    """Number of hidden units of the gate."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Dropout rate of the experts' output vectors and of the classifier."""
    gate_balance: float = Field(default=0.0, ge=0)
    """Weight of the load-balancing loss, which is 0 when all experts have equal mean weight over a batch and highest when one expert has
    all of it."""
    aux_expert: Feature | None = None
    """Name of the expert with an auxiliary classifier and its own loss; `null` disables it."""
    aux_weight: float = Field(default=0.3, ge=0)
    """Weight of the auxiliary loss."""


class ModelConfig(Config):
    """Neural network and its input features."""

    name: Literal["spectral_crnn", "ssl_spectral_moe"] = "spectral_crnn"
    """Model family; the subsection of the same name holds its architecture."""
    features: tuple[Feature, ...] = Field(default=("mel", "mfcc", "chroma"), min_length=1)
    """Input features, one branch or expert for each."""
    spectral_crnn: SpectralCrnnConfig = Field(default_factory=SpectralCrnnConfig)
    ssl_spectral_moe: SslSpectralMoeConfig = Field(default_factory=SslSpectralMoeConfig)

    @field_validator("features")
    @classmethod
    def in_canonical_order(cls, features: tuple[str, ...]) -> tuple[str, ...]:
        return canonical_order(features)

    @model_validator(mode="after")
    def features_fit_the_family(self) -> Self:
        refused = [name for name in self.features if not entry_of(name).on_hop_grid]
        if self.name == "spectral_crnn" and refused:
            raise ValueError(f"features has {refused[0]}, which spectral_crnn does not take: name ssl_spectral_moe does")
        aux = self.ssl_spectral_moe.aux_expert
        if self.name == "ssl_spectral_moe" and aux is not None and aux not in self.features:
            raise ValueError(f"ssl_spectral_moe.aux_expert {aux} is not among model.features")
        return self


class TrainConfig(Config):
    """Training loop: optimiser, loss, sampling and early stopping."""

    epochs: Positive = 30
    """Maximum number of epochs; training stops earlier after `patience` epochs without improvement."""
    batch_size: Positive = 32
    """Number of clips in a batch."""
    bucket_clips: Positive = 1024
    """Number of clips that are sorted by length before they are cut into batches; larger values need less padding but shuffle less."""
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    """Optimiser; `sgd` uses Nesterov momentum of 0.9."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate, reached at the end of the warm-up."""
    weight_decay: float = Field(default=1e-2, ge=0)
    """Weight decay of weight matrices and convolution kernels; biases and normalisation layers have none."""
    warmup_epochs: float = Field(default=1.0, ge=0)
    """Length of the linear learning-rate warm-up in epochs; may be a fraction."""
    scheduler: Literal["cosine", "constant"] = "cosine"
    """Learning-rate schedule after the warm-up: half a cosine down to 0 at the last of `epochs`, or constant."""
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    """Loss function; `focal` gives more weight to clips that are still misclassified (Lin et al. 2017)."""
    focal_gamma: float = Field(default=2.0, ge=0)
    """Focusing parameter of the focal loss; 0 gives cross entropy."""
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Share of the target probability that is spread evenly over all classes."""
    class_weights: Literal["none", "balanced"] = "balanced"
    """Class weights of the loss. `balanced` uses n_clips / (n_classes * n_clips_of_the_class), as scikit-learn does."""
    sampler: Literal["shuffle", "class", "corpus-class"] = "shuffle"
    """How clips are drawn. `shuffle` uses every clip once an epoch; `class` balances the classes; `corpus-class` balances the classes of
    every corpus."""
    sampler_balance: Share = 1.0
    """Strength of the balancing: 1 draws all groups equally often, 0 in proportion to their size; in between, a group of n clips has weight
    n^(1 - balance)."""
    grad_clip: float = Field(default=5.0, gt=0)
    """Maximum norm of the gradient over all weights; larger gradients are scaled down to it."""
    patience: Positive = 8
    """Number of epochs without a higher validation UAR after which training stops."""
    val_metric: Literal["uar"] = "uar"
    """Validation metric that selects the best epoch."""
    targets: Literal["labels", "votes"] = "labels"
    """Training targets. `labels` uses the emotion that the speaker was asked to express; `votes` uses the distribution of the listeners'
    votes for CREMA-D, if the vote table of the corpus is next to its audio, and labels for every other clip."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device of training. `auto` uses CUDA if a GPU is available, otherwise the CPU."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of training. `auto` uses bf16 on processors and GPUs with instructions for it, fp32 elsewhere."""


class CalibrationConfig(Config):
    """Calibration of confidences and the threshold for the answer `unknown`. Both are fitted on the validation set; without one there is
    neither."""

    max_error: float = Field(default=0.2, gt=0, lt=1)
    """Maximum share of wrong answers among those given: predictions with a confidence below the threshold that achieves this on the
    validation set are answered with `unknown`."""
    bins: int = Field(default=15, ge=2, le=100)
    """Number of equally wide confidence bins of the expected calibration error and the reliability diagram."""


class TrackingConfig(Config):
    """Additional logs of the training history, besides history.csv."""

    tensorboard: bool = False
    """Whether to write the history for TensorBoard too, below the run's folder. Needs the extra `track`."""


class RuntimeConfig(Config):
    """Processes and threads; they do not change what is computed."""

    workers: int | None = Field(default=None, ge=1, le=256)
    """Number of processes of the extract and transform steps; `null` uses one for each CPU core."""
    threads: int | None = Field(default=None, ge=1, le=256)
    """Number of threads of torch in training; `null` uses one for each CPU core."""


class ExperimentConfig(Config):
    """All settings that a run depends on."""

    project: ProjectConfig = Field(default_factory=ProjectConfig)
    audio: AudioConfig = Field(default_factory=AudioConfig)
    features: FeaturesConfig = Field(default_factory=FeaturesConfig)
    ssl: SslConfig = Field(default_factory=SslConfig)
    split: SplitConfig = Field(default_factory=SplitConfig)
    protocol: ProtocolConfig = Field(default_factory=ProtocolConfig)
    labels: LabelsConfig = Field(default_factory=LabelsConfig)
    augmentations: AugmentationsConfig = Field(default_factory=AugmentationsConfig)
    specaugment: SpecAugmentConfig = Field(default_factory=SpecAugmentConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    train: TrainConfig = Field(default_factory=TrainConfig)
    calibration: CalibrationConfig = Field(default_factory=CalibrationConfig)
    tracking: TrackingConfig = Field(default_factory=TrackingConfig)
    runtime: RuntimeConfig = Field(default_factory=RuntimeConfig)

    @model_validator(mode="after")
    def model_features_are_computed(self) -> Self:
        absent = [name for name in self.model.features if name not in self.features.types]
        if absent:
            raise ValueError(f"model.features includes {', '.join(absent)}, which features.types does not compute")
        return self

    @model_validator(mode="after")
    def mel_ends_below_nyquist(self) -> Self:
        mel, nyquist = self.features.mel, self.audio.sampling_rate / 2
        if mel.fmax is not None and mel.fmax > nyquist:
            raise ValueError(f"features.mel.fmax {mel.fmax:g} Hz is above half of audio.sampling_rate")
        if mel.fmin >= nyquist:
            raise ValueError(f"features.mel.fmin {mel.fmin:g} Hz is not below half of audio.sampling_rate")
        return self


def canonical_order(features: tuple[str, ...]) -> tuple[str, ...]:
    """As in the table of the families (ssl, mel, mfcc, chroma): the order of branches never depends on how a list was typed."""
    return tuple(name for name in feature_names() if name in without_repeats(features))


def without_repeats(names: tuple[Name, ...]) -> tuple[Name, ...]:
    """
    Raises:
        ValueError: a name is listed twice.
    """
    if len(set(names)) < len(names):
        raise ValueError(f"one of {', '.join(map(str, names))} is listed twice")
    return names
