"""The description of an exported file for `ser info`."""

from pathlib import Path

from ser.inference.exported import Exported
from ser.wording import describe_backbone

Facts = dict[str, object]
"""{title: value}; plain values of JSON"""
EXPORTED = ".onnx"
"""Suffix of an exported model."""


def exported_facts(path: Path) -> Facts:
    """The description in the metadata of an exported file."""
    facts = Exported.load(path).facts
    return {
        "kind": "exported model",
        "path": str(path),
        "family": facts.family,
        "features": list(facts.features),
        "sample_rate": facts.sample_rate,
        "classes": list(facts.classes),
        "corpora": list(facts.corpora),
        "licence": facts.licence,
        "certificate": facts.certificate,
        "threshold": facts.calibration.threshold,
        "backbone": None if facts.backbone is None else f"{describe_backbone(facts.backbone)} ({facts.backbone['where']})",
        "precision": facts.precision,
        "weights": facts.weights,
        "written_by": f"ser {facts.version}",
        "bytes": path.stat().st_size,
    }
