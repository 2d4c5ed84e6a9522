"""Where things are, for tests at any depth."""

from pathlib import Path

import ser

ROOT = Path(__file__).parent.parent
PACKAGE = Path(ser.__file__).parent
SAMPLE = PACKAGE / "sample" / "crema" / "AudioWAV"
SHARED = ROOT.parent / "shared"
"""Real corpora and a real backbone; not part of the project, so what needs them is skipped without."""
