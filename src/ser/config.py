"""Small frozen configs, one for each part, and `ExperimentConfig`, their composition. Reading one imports no torch.

A part is handed its own config only, and saves it beside what it made. `ser.config_file` reads them from YAML.
"""

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ser.emotions import EMOTIONS

Corpus = Literal["crema", "ravdess", "savee", "tess"]
Emotion = Literal["neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise"]
Feature = Literal["ssl", "mel", "mfcc", "chroma"]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Layer = Annotated[int, Field(ge=0)]
Range = tuple[float, float]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Folder = Annotated[str, Field(min_length=1)]
Name = TypeVar("Name", str, int)

SSL = "ssl"
"""The one feature that a backbone makes, not a Fourier transform."""


class Config(BaseModel):
    """Frozen, and strict about names.

    pydantic prepares a config when it is first made, not when it is imported, and defaults are made with it: whoever needs one of them, as
    a prediction does, does not wait for all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class ProjectConfig(Config):
    """Folders, corpora and the seed of training."""

    raw_dir: Folder = "data/raw"
    """One folder for each corpus; never modified."""
    processed_dir: Folder = "data/processed"
    """Manifest, splits and feature stores."""
    runs_dir: Folder = "runs"
    """One folder for each training."""
    reports_dir: Folder = "reports"
    """Figures."""
    corpora: tuple[Corpus, ...] = Field(default=("crema", "ravdess", "savee", "tess"), min_length=1)
    """Corpora to index; one whose folder is absent is left out with a warning."""
    seed: Seed = 42
    """Of training: first weights, order of batches, masks, dropout."""
    max_unreadable: Share = 0.05
    """More than this share of a corpus unreadable: the extract step stops."""

    @field_validator("corpora")
    @classmethod
    def each_once(cls, corpora: tuple[str, ...]) -> tuple[str, ...]:
        return without_repeats(corpora)


class AudioConfig(Config):
    """From a file to the waveform that features are computed from."""

    sampling_rate: int = Field(default=16_000, ge=4_000, le=192_000)
    """Hz, of the waveforms that features are computed from."""
    trim_silence: bool = True
    """Cut the silence at both ends."""
    trim_top_db: float = Field(default=30.0, gt=0)
    """Leading and trailing frames this far below the loudest one are cut."""
    duration: float | None = Field(default=5.0, gt=0.1, le=3600)
    """Seconds; longer clips are cut to their centre. null keeps every clip whole."""
    pad: bool = False
    """Pad shorter clips to `duration`. Masks and length buckets make it needless."""


class MelConfig(Config):
    """Log-mel in dB, on Slaney's scale."""

    n_mels: Positive = 128
    """Rows."""
    fmin: float = Field(default=0.0, ge=0)
    """Hz; lower end of the lowest filter."""
    fmax: float | None = Field(default=None, gt=0)
    """Hz; null is half the sampling rate."""

    @model_validator(mode="after")
    def low_below_high(self) -> Self:
        if self.fmax is not None and self.fmin >= self.fmax:
            raise ValueError(f"fmin {self.fmin:g} Hz is not below fmax {self.fmax:g} Hz")
        return self


class MfccConfig(Config):
    """Cosine transform (DCT-II) of the log-mel."""

    n_mfcc: Positive = 40
    """Rows; at most `mel.n_mels`."""


class ChromaConfig(Config):
    """Energy of each pitch class, over all octaves."""

    n_chroma: Positive = 12
    """Rows; 12 are semitones."""


class FeaturesConfig(Config):
    """What the transform step computes and stores."""

    types: tuple[Feature, ...] = Field(default=("mel", "mfcc", "chroma"), min_length=1)
    """Features; their order is always ssl, mel, mfcc, chroma. `ssl` is described by the section of that name."""
    n_fft: int = Field(default=1024, ge=64)
    """Samples; also the length of the Hann window."""
    hop_length: Positive = 256
    """Samples between frames."""
    mel: MelConfig = Field(default_factory=MelConfig)
    mfcc: MfccConfig = Field(default_factory=MfccConfig)
    chroma: ChromaConfig = Field(default_factory=ChromaConfig)
    dtype: Literal["float32", "float16"] = "float32"
    """Of the spectral numbers on disk."""
    shard_clips: int = Field(default=256, ge=1, le=4096)
    """Clips in one file of the store: the unit of parallel work, of resume and of repair."""

    @property
    def spectral(self) -> tuple[str, ...]:
        """The types that one Fourier transform serves."""
        return tuple(name for name in self.types if name != SSL)

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
    """The frozen speech backbone whose hidden states are the feature `ssl` (needs the extra `ssl`)."""

    model_id: str = Field(default="microsoft/wavlm-base-plus", min_length=1)
    """A folder with `config.json` and weights, or a model of the Hugging Face hub: WavLM, HuBERT, wav2vec 2.0, data2vec-audio, Whisper."""
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """Commit of a hub model. null: the pinned one of a model that the program knows; others need it. Means nothing for a folder."""
    layers: Literal["all"] | tuple[Layer, ...] = "all"
    """Hidden states to store, 0 being the first layer's input: `all`, a list, or 9 for [9]; of several the model learns a weighted mean."""
    time_pool: Positive = 2
    """Neighbouring frames that are averaged before storing: 2 makes 25 frames a second and half the disk."""
    shard_clips: int = Field(default=64, ge=1, le=4096)
    """As features.shard_clips, for the backbone's store."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the backbone's arithmetic. `auto`: bf16 where the processor or GPU has instructions for it; load and train take a finished store
    of the other precision where there is none of this machine's own."""
    dtype: Literal["float16", "float32"] = "float16"
    """Of the numbers on disk."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """`auto`: CUDA where there is a GPU, else the processor."""
    batch_seconds: float = Field(default=160.0, gt=0)
    """Audio in one batch on a GPU; only clips of equal length share one. On a processor clips go one by one."""

    @field_validator("layers", mode="before")
    @classmethod
    def all_or_one_or_a_list(cls, layers: Any) -> Any:
        """Ascending; one message for what would else be one for each member of the union."""
        if layers == "all":
            return layers
        several = tuple(layers) if isinstance(layers, (list, tuple)) else (layers,)
        if not several or any(type(layer) is not int or layer < 0 for layer in several) or len(set(several)) < len(several):
            raise ValueError("give all, one hidden state such as 9, or a list of hidden states, each once")
        return tuple(sorted(several))


class SplitConfig(Config):
    """Who trains, who selects, who is tested."""

    name: str = Field(default="default", max_length=100, pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$")
    """Folder under data/processed/splits: label sets and protocols never overwrite one another."""
    rule: Literal["speakers", "explicit-speakers", "explicit-ids", "random"] = "speakers"
    """`speakers`: drawn, balanced over corpus and gender. `random` ignores speakers: it exists to measure what leakage buys."""
    kind: Literal["speaker-disjoint", "sample-disjoint", "none"] = "speaker-disjoint"
    """What the certificate declares and every later step checks."""
    seed: Seed = 42
    """Of the draw of speakers, or of clips with rule random."""
    corpora: tuple[Corpus, ...] | None = None
    """Only these; null takes every corpus of the manifest."""
    val_share: float = Field(default=0.13, gt=0, lt=0.5)
    """Of the speakers of each corpus and gender."""
    test_share: float = Field(default=0.21, gt=0, lt=0.5)
    """Enough that RAVDESS, with 24 speakers, has the five that an interval needs."""
    val_speakers: tuple[str, ...] = ()
    """`ravdess/07`; with rule explicit-speakers. Every other speaker trains."""
    test_speakers: tuple[str, ...] = ()
    """As `val_speakers`."""
    val_ids: tuple[str, ...] = ()
    """Utterance ids; with rule explicit-ids. Every other utterance trains."""
    test_ids: tuple[str, ...] = ()
    """As `val_ids`."""

    @model_validator(mode="after")
    def lists_fit_the_rule(self) -> Self:
        if bool(self.val_speakers or self.test_speakers) != (self.rule == "explicit-speakers"):
            raise ValueError("val_speakers and test_speakers go with rule explicit-speakers, and only with it")
        if bool(self.val_ids or self.test_ids) != (self.rule == "explicit-ids"):
            raise ValueError("val_ids and test_ids go with rule explicit-ids, and only with it")
        both = (set(self.val_speakers) & set(self.test_speakers)) | (set(self.val_ids) & set(self.test_ids))
        if both:
            raise ValueError(f"val and test share {', '.join(sorted(both)[:5])}")
        if self.rule == "random" and self.kind == "speaker-disjoint":
            raise ValueError("rule random cannot be speaker-disjoint: declare kind sample-disjoint or none")
        return self


class ProtocolConfig(Config):
    """Which named protocol to run, and how often: `ser protocol run`."""

    name: str | None = None
    """As `ser protocol list` has it: `ravdess/emobox`. null: the command line says."""
    fold: str | None = None
    """Set by `ser protocol run` in the config of each fold's run."""
    seeds: tuple[Seed, ...] = Field(default=(1, 2, 3), min_length=1)
    """Of training; every fold is trained once with each."""

    @field_validator("seeds")
    @classmethod
    def each_once(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        return without_repeats(seeds)


class LabelsConfig(Config):
    """From the corpora's emotions to the classes of the model."""

    merge: dict[Emotion, Emotion] = {}
    """`{calm: neutral}` counts calm clips as neutral. Applied before `keep`."""
    keep: tuple[Emotion, ...] = Field(default=EMOTIONS, min_length=2)  # type: ignore[arg-type]
    """The classes; clips of any other emotion take no part in the split."""

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


class AugmentationsConfig(Config):
    """Waveform augmentation of training speakers. Off with 0 copies. All but `speed` need the extra `augment`."""

    copies: int = Field(default=0, ge=0, le=20)
    """Altered copies of every training clip, `<id>~1` and so on; an epoch draws one version of each clip."""
    probability: Share = 0.5
    """Of each alteration below."""
    noise_snr_db: Range | None = (10.0, 30.0)
    """dB; white noise at a signal-to-noise ratio drawn from this range. null: none."""
    pitch_semitones: Range | None = (-2.0, 2.0)
    """Semitones, up or down. null: none."""
    stretch_rate: Range | None = (0.9, 1.1)
    """Factor of speed, pitch kept. null: none."""
    speed: Range | None = None
    """Factor of speed, pitch and formants with it, as a tape that runs faster: another voice. null: none."""
    seed: Seed = 42
    """With the id and the number of the copy, all that a copy depends on."""

    @property
    def needs_library(self) -> bool:
        """Whether a copy is altered by anything that the extra brings."""
        return bool(self.noise_snr_db or self.pitch_semitones or self.stretch_rate)

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
    """Masks on training batches (Park et al. 2019), after normalisation, within the real frames."""

    freq_masks: int = Field(default=2, ge=0)
    """Masked bands of rows in each utterance and feature; 0 is off."""
    freq_share: Share = 0.15
    """Widest mask, as a share of the feature's rows."""
    time_masks: int = Field(default=2, ge=0)
    """Masked stretches of frames in each utterance and feature; 0 is off."""
    time_share: Share = 0.15
    """Widest mask, as a share of the utterance's real frames."""


class SpectralCrnnConfig(Config):
    """Widths of the CNN branches, the fusion and the recurrence."""

    channels: tuple[Positive, Positive] = (24, 48)
    """Of the two convolution blocks, each followed by a max-pool."""
    pools: tuple[tuple[Positive, Positive], tuple[Positive, Positive]] = ((2, 2), (4, 2))
    """(frequency, time) of the two max-pools."""
    branch_dim: Positive = 96
    """Units of each branch at each time step."""
    bottleneck_dim: Positive = 160
    """Units after the branches are joined."""
    gru_dim: Positive = 128
    """Units for each direction."""
    gru_layers: int = Field(default=1, ge=1, le=4)
    """Of the recurrence."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Of the bottleneck and before the classifier."""


class SslExpertConfig(Config):
    """From the backbone's frames to one vector."""

    dim: Positive = 128
    """Units of each frame after the projection."""
    layers: int = Field(default=1, ge=0, le=12)
    """Of the Transformer encoder; 0 is none."""
    heads: Positive = 4
    """Of its attention; `dim` is a multiple."""
    ff_dim: Positive = 256
    """Units of its feed-forward networks."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Of the projected frames and in the encoder."""

    @model_validator(mode="after")
    def heads_divide_dim(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is not a multiple of heads {self.heads}")
        return self


class SpectralExpertConfig(Config):
    """From the frames of one spectral feature to one vector."""

    channels: tuple[Positive, ...] = Field(default=(96, 96, 128), min_length=1, max_length=6)
    """Of the convolutions over time; each halves the frame rate."""
    kernel: int = Field(default=5, ge=3, le=15)
    """Frames; odd."""
    layers: int = Field(default=0, ge=0, le=12)
    """Of a Transformer encoder after the convolutions; 0 is none."""
    heads: Positive = 4
    """Of its attention; the last of `channels` is a multiple."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """After each convolution and in the encoder."""

    @model_validator(mode="after")
    def shapes_fit(self) -> Self:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} is not odd")
        if self.layers and self.channels[-1] % self.heads:
            raise ValueError(f"the last of channels, {self.channels[-1]}, is not a multiple of heads {self.heads}")
        return self


class SslSpectralMoeConfig(Config):
    """Experts, gate, fusion and the two additional losses."""

    ssl: SslExpertConfig = Field(default_factory=SslExpertConfig)
    spectral: SpectralExpertConfig = Field(default_factory=SpectralExpertConfig)
    """Of each spectral expert."""
    fusion: Literal["gate", "concat"] = "gate"
    """`gate`: the experts' vectors are weighed by a softmax and added; `concat`: laid side by side, to compare with."""
    fusion_dim: Positive = 128
    """Units of each expert's vector and of the classifier."""
    gate_dim: Positive = 64
    """Hidden units of the gate."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Of the experts' vectors and of the classifier."""
    gate_balance: float = Field(default=0.0, ge=0)
    """Weight of a loss that is 0 where all experts have equal weight on average over a batch and highest where one has all."""
    aux_expert: Feature | None = None
    """The expert whose own classifier adds a loss; null: none."""
    aux_weight: float = Field(default=0.3, ge=0)
    """Of that loss."""


class ModelConfig(Config):
    """The network."""

    name: Literal["spectral_crnn", "ssl_spectral_moe"] = "spectral_crnn"
    """Family; the block of the same name holds its widths."""
    features: tuple[Feature, ...] = Field(default=("mel", "mfcc", "chroma"), min_length=1)
    """The branches or experts."""
    spectral_crnn: SpectralCrnnConfig = Field(default_factory=SpectralCrnnConfig)
    ssl_spectral_moe: SslSpectralMoeConfig = Field(default_factory=SslSpectralMoeConfig)

    @field_validator("features")
    @classmethod
    def in_canonical_order(cls, features: tuple[str, ...]) -> tuple[str, ...]:
        return canonical_order(features)

    @model_validator(mode="after")
    def features_fit_the_family(self) -> Self:
        if self.name == "spectral_crnn" and SSL in self.features:
            raise ValueError("features has ssl, which spectral_crnn does not take: name ssl_spectral_moe does")
        aux = self.ssl_spectral_moe.aux_expert
        if self.name == "ssl_spectral_moe" and aux is not None and aux not in self.features:
            raise ValueError(f"ssl_spectral_moe.aux_expert {aux} is not among model.features")
        return self


class TrainConfig(Config):
    """The training loop."""

    epochs: Positive = 30
    """At most; see `patience`."""
    batch_size: Positive = 32
    """Utterances."""
    bucket_clips: Positive = 1024
    """Clips that are sorted by length before they are cut into batches: less padding, a little less shuffling."""
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    """`sgd` has Nesterov momentum 0.9."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Highest, at the end of the warm-up."""
    weight_decay: float = Field(default=1e-2, ge=0)
    """On matrices and kernels; biases and norms have none."""
    warmup_epochs: float = Field(default=1.0, ge=0)
    """Epochs, also parts of one, in which the learning rate rises linearly."""
    scheduler: Literal["cosine", "constant"] = "cosine"
    """After the warm-up: half a cosine down to 0 at the last of `epochs`, or constant."""
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    """`focal` turns to the clips that are still wrong (Lin et al. 2017)."""
    focal_gamma: float = Field(default=2.0, ge=0)
    """Of the focal loss; 0 is cross entropy."""
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Share of the target that is spread over all classes."""
    class_weights: Literal["none", "balanced"] = "balanced"
    """`balanced` weighs a class's loss by n / (classes x its clips), as scikit-learn does."""
    sampler: Literal["shuffle", "class", "corpus-class"] = "shuffle"
    """`shuffle`: every clip once an epoch; `class` evens out the classes; `corpus-class` the classes of every corpus."""
    sampler_balance: Share = 1.0
    """How far: 1 draws all groups equally often, 0 in proportion to their clips; between them a group of n clips counts n^(1 - balance)."""
    grad_clip: float = Field(default=5.0, gt=0)
    """Largest norm of the gradient of all weights."""
    patience: Positive = 8
    """Epochs without a better val UAR before training stops."""
    val_metric: Literal["uar"] = "uar"
    """What selects the best epoch."""
    targets: Literal["labels", "votes"] = "labels"
    """`labels`: the emotion that the speaker was asked for. `votes`: for CREMA-D the shares of its listeners' votes, where the table of the
    corpus's owner stands beside the audio; every other clip keeps its label."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """`auto`: CUDA where there is a GPU, else the processor."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto`: bf16 where the processor or GPU has instructions for it."""


class CalibrationConfig(Config):
    """What makes a confidence worth its name, and when the answer is `unknown`. Fitted on val; without val there is none."""

    max_error: float = Field(default=0.2, gt=0, lt=1)
    """Share of wrong answers among those given; a confidence below the one that keeps val at this share is answered with `unknown`."""
    bins: int = Field(default=15, ge=2, le=100)
    """Of equal width, for the expected calibration error and the reliability diagram."""


class TrackingConfig(Config):
    """Other places that are told of each epoch, besides history.csv."""

    tensorboard: bool = False
    """Write the numbers of each epoch for TensorBoard, below the run's folder (needs the extra `track`)."""


class RuntimeConfig(Config):
    """How the work is done, not what is computed."""

    workers: int | None = Field(default=None, ge=1, le=256)
    """Processes of the extract and transform steps; null: one for each core."""
    threads: int | None = Field(default=None, ge=1, le=256)
    """Of torch in training; null: one for each core."""


class ExperimentConfig(Config):
    """Everything that a run depends on."""

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
            raise ValueError(f"model.features asks for {', '.join(absent)}, which features.types does not compute")
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
    """ssl, mel, mfcc, chroma: the order of branches never depends on how a list was typed."""
    return tuple(name for name in (SSL, "mel", "mfcc", "chroma") if name in without_repeats(features))


def without_repeats(names: tuple[Name, ...]) -> tuple[Name, ...]:
    """
    Raises:
        ValueError: a name is listed twice.
    """
    if len(set(names)) < len(names):
        raise ValueError(f"one of {', '.join(map(str, names))} is listed twice")
    return names
