"""The family of hidden states of a frozen speech backbone, computed by `ser.features.backbone`. Torch is imported only to compute."""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from ser.config import ExperimentConfig, SslConfig
from ser.errors import ConfigError, SerError
from ser.families import SSL
from ser.features.backbone_files import (
    CODE_VERSION,
    NO_WEIGHTS,
    Backbone,
    fetch_weights,
    find_backbone,
    has_weights,
    hidden_states,
    read_licence,
    refuse_rate,
)
from ser.features.base import FeatureExtractor
from ser.features.family import AUDIO_KEYS, FeatureFamily, FeatureView, Finding, GroupLimit, Readable, Trained
from ser.features.store import StoreSpec
from ser.home import user_path
from ser.system.parallel import run_tasks
from ser.wording import describe_backbone

if TYPE_CHECKING:
    from ser.features.backbone import BackboneExtractor, Precision

log = logging.getLogger(__name__)


class SslFamily(FeatureFamily):
    """The configured hidden states, side by side, as one feature."""

    name = SSL
    code_version = CODE_VERSION
    loads_torch = True
    masked = False
    runs_backbone = True
    longest_first = True
    counts_audio = True

    def spec(self, config: ExperimentConfig) -> StoreSpec:
        """Description of the store. It has the content of the backbone's files, not their location. Torch is imported only to resolve
        `ssl.precision: auto`.
        """
        backbone, layers = find_states(config)
        ingredients = {
            "code_version": self.code_version,
            "audio": config.audio.model_dump(mode="json", include=AUDIO_KEYS),
            "backbone": {"kind": backbone.kind, **backbone.identity},
            "layers": layers,
            "precision": find_precision(config) if config.ssl.precision == "auto" else config.ssl.precision,
            "time_pool": config.ssl.time_pool,
        }
        columns, frame_rate = len(layers) * backbone.dim, backbone.frame_rate / config.ssl.time_pool
        return StoreSpec(self.name, {SSL: columns}, frame_rate, config.ssl.dtype, ingredients)

    def settle(self, config: ExperimentConfig) -> ExperimentConfig:
        """Resolve `ssl.precision` on this machine, so that the name of a store can be found without torch.

        If this process has not imported torch, another process does it, because workers of other families are forked without torch.
        """
        if config.ssl.precision != "auto" and config.ssl.device in ("auto", "cpu"):
            return config
        apart = "torch" not in sys.modules
        answers = run_tasks(find_precision, [config], workers=1, name=lambda _: "the check of ssl.device", apart=apart)
        ((_, precision),) = answers
        return with_precision(config, precision)

    def readable(self, config: ExperimentConfig) -> Iterator[Readable]:
        """Yield the config and, with `ssl.precision: auto`, that of the other precision, which another machine may have computed.

        `ssl.device` may be missing, because the backbone is not run.
        """
        if config.ssl.precision != "auto":
            yield Readable(config)
            return
        try:
            own = find_precision(config)
        except ConfigError:
            own = find_precision(with_ssl(config, config.ssl.model_copy(update={"device": "auto"})))
        other: Precision = "fp32" if own == "bf16" else "bf16"
        yield Readable(with_precision(config, own))
        warning = (
            f"ssl.precision is auto: there is no finished store of {own}, the precision of this machine, so the store of {other} is read"
        )
        yield Readable(with_precision(config, other), warning)

    def make(self, config: ExperimentConfig) -> "BackboneExtractor":
        from ser.features.backbone import BackboneExtractor

        return BackboneExtractor(config.ssl, config.audio.sampling_rate)

    def rebuild(self, trained: Trained) -> "Callable[[], BackboneExtractor]":
        then, precision = trained.store.ingredients["backbone"], trained.store.ingredients["precision"]
        config = SslConfig(
            model_id=location_of(trained, then),
            revision=then.get("revision"),
            layers=tuple(trained.store.ingredients["layers"]),
            time_pool=trained.store.ingredients["time_pool"],
            precision="fp32" if precision == "fp32" else "auto",  # bf16 only if the processor has instructions for it
            dtype=trained.store.dtype,  # type: ignore[arg-type]  # the config checks it
            device=trained.device,
        )
        describe_backbone(then)  # raises an error for an identity that this version does not know
        return partial(load_backbone, trained, then, precision, config)

    def exact(self, extractor: FeatureExtractor) -> FeatureExtractor:
        from ser.features.backbone import BackboneExtractor

        if not is_backbone(extractor) or extractor.precision == "fp32":
            return extractor
        config = extractor.config.model_copy(update={"precision": "fp32"})
        return BackboneExtractor(config, extractor.backbone.sample_rate)

    def missing_files(self, config: ExperimentConfig) -> str:
        return "" if has_weights(find_states(config)[0]) else NO_WEIGHTS

    def fetch(self, config: ExperimentConfig) -> None:
        fetch_weights(find_states(config)[0])

    def shard_clips(self, config: ExperimentConfig) -> int:
        return config.ssl.shard_clips

    def workers(self, config: ExperimentConfig) -> int | None:
        """One on a GPU, namely this process, because a forked process cannot use the GPU."""
        return 1 if on_gpu(config) else None

    def threads(self) -> AbstractContextManager[None]:
        """Limit torch to one thread in each worker."""
        from ser.features.backbone import one_thread

        return one_thread()

    def group_limit(self, config: ExperimentConfig) -> GroupLimit:
        """`ssl.batch_seconds` on a GPU, one clip on a CPU.

        On a GPU, clips of a group share a batch only if they have the same number of frames after silence is trimmed. Shards are ordered by
        the untrimmed durations, so few neighbours do.
        """
        return GroupLimit(seconds=config.ssl.batch_seconds) if on_gpu(config) else GroupLimit(clips=1)

    def findings(self, config: ExperimentConfig) -> Iterator[Finding]:
        """Yield one check: whether the backbone and its weights are available."""
        try:
            backbone, states = find_states(config)
            precision, missing = find_precision(config), self.missing_files(config)
        except SerError as error:
            yield "backbone", "missing", str(error)
            return
        stored = f"{len(states)} of {backbone.num_states} hidden states of {backbone.dim} numbers"
        detail = f"{backbone.kind} at {backbone.location}: {stored}, computed in {precision}"
        yield ("backbone", "note", f"{detail}; {missing}") if missing else ("backbone", "ok", detail)

    def backbone_facts(self, extractor: FeatureExtractor, store: StoreSpec) -> Mapping[str, object] | None:
        if not is_backbone(extractor):
            return None
        backbone = extractor.backbone
        return {
            "kind": backbone.kind,
            **backbone.identity,
            "layers": list(extractor.states),
            "sample_rate": backbone.sample_rate,
            "frame_rate": extractor.frame_rate,
            "time_pool": extractor.config.time_pool,
            "trained_in": store.ingredients.get("precision"),
            "licence": read_licence(Path(backbone.location)),
        }

    def view(self, feature: str, spec: StoreSpec, most_rows: int) -> FeatureView:
        """Show the first dimensions of the last stored hidden state; a mean over the states would have other deviations."""
        dim = spec.dims[feature] // len(spec.layers)
        first = spec.dims[feature] - dim
        return FeatureView(
            title=f"SSL, hidden state {spec.layers[-1]}",
            unit="arbitrary unit",
            centred=False,
            row_label=f"dimension (of {dim})",
            rows=(first, first + min(most_rows, dim)),
        )


def find_states(config: ExperimentConfig) -> tuple[Backbone, list[int]]:
    """Find the backbone and the hidden states to store, without torch.

    Raises:
        ConfigError: as of `find_backbone` and `hidden_states`, or the audio has another sample rate than the backbone.
        DataError: as of `find_backbone`.
    """
    backbone = find_backbone(config.ssl)
    refuse_rate(config.ssl, backbone, config.audio.sampling_rate)
    return backbone, list(hidden_states(config.ssl, backbone))


def find_precision(config: ExperimentConfig) -> "Precision":
    """Resolve `ssl.precision` on this machine.

    Raises:
        ConfigError: `ssl.device` is not available.
    """
    from ser.features.backbone import resolved_precision

    return resolved_precision(config.ssl)


def with_precision(config: ExperimentConfig, precision: str) -> ExperimentConfig:
    return with_ssl(config, config.ssl.model_copy(update={"precision": precision}))


def with_ssl(config: ExperimentConfig, ssl: SslConfig) -> ExperimentConfig:
    """Config with another section ssl, without validation."""
    return config.model_copy(update={"ssl": ssl})


def on_gpu(config: ExperimentConfig) -> bool:
    """Whether the backbone runs on a GPU.

    Raises:
        ConfigError: `ssl.device` is not available on this machine.
    """
    from ser.system.device import choose_device

    return choose_device(config.ssl).type != "cpu"


def is_backbone(extractor: FeatureExtractor) -> "TypeGuard[BackboneExtractor]":
    from ser.features.backbone import BackboneExtractor

    return isinstance(extractor, BackboneExtractor)


def load_backbone(trained: Trained, identity: Mapping[str, object], precision: object, config: SslConfig) -> "BackboneExtractor":
    """Load the backbone of a training, in the precision of this machine.

    Args:
        identity: identity of the backbone in training.
        precision: precision in training.
    """
    from ser.features.backbone import BackboneExtractor

    refuse_another(trained.checkpoint, identity, config)
    extractor = BackboneExtractor(config, trained.audio.sampling_rate)
    if extractor.precision != precision:
        log.info("the backbone runs in %s but was trained with %s: probabilities may differ slightly", extractor.precision, precision)
    return extractor


def refuse_another(checkpoint: Path, trained: Mapping[str, object], config: SslConfig) -> None:
    """Check that the backbone is the one of the training.

    Raises:
        ConfigError: it is another one.
    """
    backbone = find_backbone(config)
    here = {"kind": backbone.kind, **backbone.identity}
    if here != trained:
        then, now = describe_backbone(trained), describe_backbone(here)
        raise ConfigError(f"{checkpoint} was trained with the backbone {then}; {config.model_id} is {now}")


def location_of(trained: Trained, identity: Mapping[str, str]) -> str:
    """Location of a backbone: the one given by the user, otherwise the hub if it is a hub model, otherwise its folder in training.

    Raises:
        ConfigError: the location is another hub model, or not a folder.
    """
    model_id = identity.get("model_id")
    location = trained.backbone or model_id or trained.backbone_then
    if location is not None and (location == model_id or user_path(location).is_dir()):
        return str(location)
    tried = f"{location} is not a folder on this machine" if location else "the checkpoint does not state its folder"
    raise ConfigError(
        f"{trained.checkpoint} was trained with the backbone {describe_backbone(identity)}; {tried}: give its location (--backbone)"
    )


FAMILY = SslFamily()
