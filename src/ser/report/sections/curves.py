"""The section on the learning curves."""

from ser.features.registry import masked_features
from ser.report.facts import RunFacts
from ser.report.figures.learning import learning_curves
from ser.report.page import Note, Section
from ser.report.sections.parts import picture
from ser.report.sentences import sentence


def curves_section(facts: RunFacts) -> Section:
    outcome = facts.outcome
    row = next(row for row in facts.history if row["epoch"] == outcome.best_epoch)
    epoch = sentence("epoch", facts=facts, row=row)
    note = Note(epoch if row["val_uar"] is None else f"{epoch} {caution(facts)}")
    figure = learning_curves(facts.history, outcome.best_epoch)
    return Section("curves", "Learning curves", [note, picture(figure, "curves", f"Loss and UAR over the epochs. {epoch}")])


def caution(facts: RunFacts) -> str:
    """The reasons why the curves of train and val cannot be compared."""
    config = facts.config
    masks = config.specaugment.freq_masks + config.specaugment.time_masks
    harder = {
        "masked features": masks and masked_features(config.model.features),
        "altered copies": config.augmentations.copies,
        "smoothed targets": config.train.label_smoothing,
    }
    return sentence("caution", differences=[name for name, applies in harder.items() if applies])
