"""The section on the model and its data."""

from collections import Counter

from ser.corpora.licences import voted_corpora
from ser.errors import ConfigError
from ser.features.registry import any_backbone
from ser.report.facts import RunFacts
from ser.report.page import Facts, Section, Table
from ser.splits.certificate import SPLIT_NAMES
from ser.splits.protocols import Fold, Protocol, find_protocol
from ser.wording import join_words


def data_section(facts: RunFacts) -> Section:
    return Section(
        "data",
        "Model and data",
        [
            Facts(essentials(facts)),
            Table("Clips by corpus and split, with the number of speakers in brackets", ["", *SPLIT_NAMES], corpus_rows(facts)),
            Table("Clips by emotion and split", ["", *SPLIT_NAMES], emotion_rows(facts)),
        ],
    )


TARGETS = {
    "labels": "the emotion that the speaker was asked to express",
    "votes": "the votes of {corpora}'s listeners, otherwise the label",
}
"""A description of each kind of training targets; {corpora} are those with votes."""


def essentials(facts: RunFacts) -> dict[str, str]:
    """A description of the config."""
    config, outcome, merged = facts.config, facts.outcome, facts.config.labels.merge
    return {
        "model": f"{config.model.name} on {join_words(config.model.features)}",
        "backbone": backbone_name(facts) if any_backbone(config.model.features) else "none",
        "classes": join_words(facts.test.classes),
        "labels merged": join_words([f"{source} counts as {target}" for source, target in merged.items()]) if merged else "none",
        "training": training(facts),
        "targets": TARGETS[config.train.targets].format(corpora=voted_corpora()),
        "altered copies": f"{config.augmentations.copies} of every training clip" if config.augmentations.copies else "none",
        "seed": f"{outcome.seed} (one training)",
        "protocol": protocol_name(facts),
        "ran on": ", ".join(f"{key} {value}" for key, value in outcome.ran_on.items()) if outcome.ran_on else "not recorded",
        "versions": ", ".join(f"{name} {version}" for name, version in facts.environment.items()),
        "weights": f"sha256 {outcome.weights}",
    }


def training(facts: RunFacts) -> str:
    train = facts.config.train
    return (
        f"{facts.outcome.epochs} epochs, batches of {train.batch_size}, {train.optimizer}, learning rate {train.learning_rate:g}, "
        f"{train.loss.replace('_', ' ')}, label smoothing {train.label_smoothing:g}, class weights {train.class_weights}, "
        f"sampler {train.sampler}"
    )


def backbone_name(facts: RunFacts) -> str:
    """The hub's name of the backbone, or the last part of its folder; the full path may be private."""
    model_id = facts.config.ssl.model_id
    return model_id if model_id.count("/") == 1 and not model_id.startswith((".", "/")) else model_id.rstrip("/").rpartition("/")[2]


LEAKY = "-leaky"
"""Suffix of the name of the random split that `ser protocol run --leak-delta` makes for a fold."""


def protocol_name(facts: RunFacts) -> str:
    known = protocol_title(facts)
    if not known:
        return f"split {facts.certificate.name}, rule {facts.certificate.rule}, seed {facts.certificate.seed}"
    found = find_fold(facts)
    return f"{known}: one fold of {len(found[0].folds)}, not the protocol's result" if found and len(found[0].folds) > 1 else known


def protocol_title(facts: RunFacts) -> str:
    """A description of the protocol of a run; empty for other runs."""
    protocol = facts.config.protocol
    if protocol.name is None or protocol.fold is None:
        return ""
    beside = "a random split of the sizes of " if facts.certificate.name.endswith(LEAKY) else ""
    return f"{beside}{protocol.name}, fold {protocol.fold}{'' if complete(facts) else ' (its corpora were incomplete)'}"


def find_fold(facts: RunFacts) -> tuple[Protocol, Fold] | None:
    """The protocol and the fold that the run names; None if this version of the program does not have them."""
    try:
        protocol = find_protocol(facts.config.protocol.name or "")
        (fold,) = protocol.choose([facts.config.protocol.fold or ""])
    except ConfigError:
        return None
    return (protocol, fold) if facts.certificate.name.removesuffix(LEAKY) == protocol.split_name(fold) else None


def complete(facts: RunFacts) -> bool:
    """Whether the split has as many clips as the protocol states, or that number is not known."""
    found = find_fold(facts)
    return found is None or sum(part.n for part in facts.certificate.splits.values()) == sum(found[1].counts.model_dump().values())


def corpus_rows(facts: RunFacts) -> list[list[str]]:
    corpora = facts.corpora(*SPLIT_NAMES)
    table = []
    for corpus in [*corpora, "all"] if len(corpora) > 1 else corpora:
        cells = [corpus]
        for name in SPLIT_NAMES:
            own = [entry for entry in facts.entries[name] if corpus in {entry.corpus, "all"}]
            cells.append(f"{len(own)} ({len({entry.speaker for entry in own})})")
        table.append(cells)
    return table


def emotion_rows(facts: RunFacts) -> list[list[str]]:
    counts = {name: Counter(entry.emotion for entry in facts.entries[name]) for name in SPLIT_NAMES}
    return [[emotion, *(str(counts[name][emotion]) for name in SPLIT_NAMES)] for emotion in facts.test.classes]
