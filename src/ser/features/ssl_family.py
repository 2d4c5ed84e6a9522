"""The family of `ser.features.backbone`: hidden states of a frozen speech backbone. Loads torch only where it computes."""

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
    """All hidden states that the config asks for, side by side, as one feature."""

    name = SSL
    code_version = CODE_VERSION
    loads_torch = True
    masked = False
    runs_backbone = True
    longest_first = True
    counts_audio = True

    def spec(self, config: ExperimentConfig) -> StoreSpec:
        """Where the backbone's files stand is no part of it, what is in them is. Loads torch only to find out what `ssl.precision: auto`
        comes to.
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
        """With `ssl.precision` as it comes out on this machine, so that to name a store asks no torch.

        torch is asked in another process, as long as this one has not loaded it: the workers of other families are forked without it.
        """
        if config.ssl.precision != "auto" and config.ssl.device in ("auto", "cpu"):
            return config
        apart = "torch" not in sys.modules
        answers = run_tasks(find_precision, [config], workers=1, name=lambda _: "torch's look at ssl.device", apart=apart)
        ((_, precision),) = answers
        return with_precision(config, precision)

    def readable(self, config: ExperimentConfig) -> Iterator[Readable]:
        """With `ssl.precision: auto` also what a machine of the other precision has computed. `ssl.device` need not be here: the backbone
        does not run.
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
        warning = f"ssl.precision is auto: no finished store of {own}, this machine's own, so the one of {other} is read"
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
            precision="fp32" if precision == "fp32" else "auto",  # bf16 only where there are instructions for it
            dtype=trained.store.dtype,  # type: ignore[arg-type]  # the config checks it
            device=trained.device,
        )
        describe_backbone(then)  # what cannot be named is no backbone of this version
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
        """One on a GPU, which is then this process: a forked one could not use it."""
        return 1 if on_gpu(config) else None

    def threads(self) -> AbstractContextManager[None]:
        """Where torch computes, it takes one in each worker."""
        from ser.features.backbone import one_thread

        return one_thread()

    def group_limit(self, config: ExperimentConfig) -> GroupLimit:
        """As many seconds as fill a GPU; on a processor one clip.

        On a GPU, clips of a group share a batch only where they have equally many frames once silence is trimmed; the shards' order is that
        of the untrimmed durations, so of neighbours few do.
        """
        return GroupLimit(seconds=config.ssl.batch_seconds) if on_gpu(config) else GroupLimit(clips=1)

    def findings(self, config: ExperimentConfig) -> Iterator[Finding]:
        """The backbone, and whether its weights are here."""
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
        """The first dimensions of the last stored hidden state: a mean over all would have other deviations than each of them."""
        dim = spec.dims[feature] // len(spec.layers)
        first = spec.dims[feature] - dim
        return FeatureView(
            title=f"SSL, hidden state {spec.layers[-1]}",
            unit="backbone's own",
            centred=False,
            row_label=f"dimension (of {dim})",
            rows=(first, first + min(most_rows, dim)),
        )


def find_states(config: ExperimentConfig) -> tuple[Backbone, list[int]]:
    """The backbone and the hidden states of it that are stored; asks no torch.

    Raises:
        ConfigError: as of `find_backbone` and `hidden_states`, or the audio has another sample rate than the backbone takes.
        DataError: as of `find_backbone`.
    """
    backbone = find_backbone(config.ssl)
    refuse_rate(config.ssl, backbone, config.audio.sampling_rate)
    return backbone, list(hidden_states(config.ssl, backbone))


def find_precision(config: ExperimentConfig) -> "Precision":
    """What `ssl.precision` comes to on this machine.

    Raises:
        ConfigError: `ssl.device` is not here.
    """
    from ser.features.backbone import resolved_precision

    return resolved_precision(config.ssl)


def with_precision(config: ExperimentConfig, precision: str) -> ExperimentConfig:
    return with_ssl(config, config.ssl.model_copy(update={"precision": precision}))


def with_ssl(config: ExperimentConfig, ssl: SslConfig) -> ExperimentConfig:
    """With another section ssl, not validated again."""
    return config.model_copy(update={"ssl": ssl})


def on_gpu(config: ExperimentConfig) -> bool:
    """Whether the backbone runs on one.

    Raises:
        ConfigError: `ssl.device` is not available on this machine.
    """
    from ser.system.device import choose_device

    return choose_device(config.ssl).type != "cpu"


def is_backbone(extractor: FeatureExtractor) -> "TypeGuard[BackboneExtractor]":
    from ser.features.backbone import BackboneExtractor

    return isinstance(extractor, BackboneExtractor)


def load_backbone(trained: Trained, identity: Mapping[str, object], precision: object, config: SslConfig) -> "BackboneExtractor":
    """As it was in training, up to the precision that this machine computes in.

    Args:
        identity: of the backbone in training.
        precision: of its numbers in training.
    """
    from ser.features.backbone import BackboneExtractor

    refuse_another(trained.checkpoint, identity, config)
    extractor = BackboneExtractor(config, trained.audio.sampling_rate)
    if extractor.precision != precision:
        log.info("the backbone computes in %s, where it was %s in training: numbers differ a little", extractor.precision, precision)
    return extractor


def refuse_another(checkpoint: Path, trained: Mapping[str, object], config: SslConfig) -> None:
    """
    Raises:
        ConfigError: the backbone of the config is not the one of the training.
    """
    backbone = find_backbone(config)
    here = {"kind": backbone.kind, **backbone.identity}
    if here != trained:
        then, now = describe_backbone(trained), describe_backbone(here)
        raise ConfigError(f"{checkpoint} was trained with the backbone {then}; {config.model_id} is {now}")


def location_of(trained: Trained, identity: Mapping[str, str]) -> str:
    """Where to look for a backbone: where the user says, else on the hub, which knows its own models, else where its folder stood in
    training.

    Raises:
        ConfigError: it is another model of the hub, or no folder.
    """
    model_id = identity.get("model_id")
    location = trained.backbone or model_id or trained.backbone_then
    if location is not None and (location == model_id or user_path(location).is_dir()):
        return str(location)
    tried = f"{location} is no folder here" if location else "the checkpoint does not tell its folder"
    raise ConfigError(f"{trained.checkpoint} was trained with the backbone {describe_backbone(identity)}; {tried}: say where it is")


FAMILY = SslFamily()
