"""The embedded sample: real, balanced, small, attributed, and part of the wheel."""

import hashlib
import zipfile
from collections import Counter
from importlib import resources
from pathlib import Path

import pytest
import soundfile

from places import ROOT

SAMPLE = Path(str(resources.files("ser"))) / "sample"
CLIPS = sorted((SAMPLE / "crema" / "AudioWAV").iterdir())

# As in CREMA-D's VideoDemographics.csv.
WOMEN = {"1007", "1012", "1047", "1049", "1053", "1055", "1063", "1091"}
MEN = {"1038", "1039", "1040", "1064", "1068", "1083", "1085", "1086"}
DEFECTIVE = {
    *("1076_MTI_SAD_XX", "1006_TIE_HAP_XX", "1006_TIE_NEU_XX", "1013_WSI_DIS_XX"),
    *("1013_WSI_SAD_XX", "1017_IWW_ANG_XX", "1017_IWW_FEA_XX"),
}


def test_each_speaker_has_three_clips_of_each_emotion() -> None:
    counts = Counter((path.name[:4], path.stem.split("_")[2]) for path in CLIPS)
    assert {speaker for speaker, _ in counts} == WOMEN | MEN
    assert {emotion for _, emotion in counts} == {"ANG", "DIS", "FEA", "HAP", "NEU", "SAD"}
    assert len(counts) == 16 * 6
    assert set(counts.values()) == {3}


def test_there_are_as_many_women_as_men() -> None:
    assert len(WOMEN) == len(MEN) == 8
    assert not WOMEN & MEN


def test_it_is_compressed_and_small() -> None:
    assert {path.suffix for path in CLIPS} == {".opus"}
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 4_000_000


def test_no_known_defect_is_in_it() -> None:
    assert not DEFECTIVE & {path.stem for path in CLIPS}


def test_each_clip_decodes_to_its_own_second_or_more_of_sound() -> None:
    hashes = set()
    for path in CLIPS:
        with path.open("rb") as file:
            samples, rate = soundfile.read(file, dtype="float32")
        assert rate == 16_000
        assert samples.ndim == 1
        assert 1 <= samples.size / rate <= 6
        assert samples.std() > 1e-4
        hashes.add(hashlib.sha256(samples.tobytes()).digest())
    assert len(hashes) == len(CLIPS)


@pytest.mark.parametrize(
    "fact",
    ["Cao", "Cooper", "Keutmann", "Gur", "Nenkova", "Verma", "10.1109/TAFFC.2014.2336244", "CheyneyComputerScience/CREMA-D", "ODbL-1.0"],
)
def test_the_attribution_stands_beside_it(fact: str) -> None:
    assert fact in (SAMPLE / "LICENSE.md").read_text(encoding="utf-8")


def test_the_licence_note_names_each_speaker() -> None:
    note = (SAMPLE / "LICENSE.md").read_text(encoding="utf-8")
    assert all(speaker in note for speaker in WOMEN | MEN)


def test_the_wheel_holds_the_sample_and_all_other_data(tmp_path: Path) -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="hatchling builds the wheel; the dev extra brings it")
    (built,) = wheel.WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = set(zipfile.ZipFile(built).namelist())
    assert {f"ser/sample/crema/AudioWAV/{path.name}" for path in CLIPS} < names
    assert {"ser/sample/LICENSE.md", "ser/configs/spectral_crnn.yaml", "ser/protocols.json", "ser/py.typed"} < names
    assert {"ser/report/templates/report.html.j2", "ser/report/templates/model_card.md.j2"} < names
