"""What the Python twins of the page's modules answer: inputs and outputs in golden.json, which the tests in JavaScript read.

`python tests/web/golden.py` (with `src` on the path) writes the file; `tests/export/test_page_golden.py` holds it to the code of today.
"""

import io
import json
from pathlib import Path
from typing import TypeAlias

import numpy as np
import soundfile

from ser.audio.vad_energy import find_speech
from ser.audio.waveform import frame_power, hop_energy, prepare
from ser.config import AudioConfig
from ser.inference.attention import Curve
from ser.inference.windows import cell_edges, smooth, stretches, window_starts
from ser.units import seconds_to_samples

Golden: TypeAlias = dict[str, object]

FILE = Path(__file__).with_name("golden.json")
RATE = 4_000
AUDIO = {"sampling_rate": RATE, "trim_silence": True, "trim_top_db": 30.0, "duration": 0.5, "pad": True}


def clip() -> list[int]:
    """Half a second at 4 kHz, as 16-bit samples: hush, a tone, hush."""
    time = np.arange(RATE // 2) / RATE
    loud = np.where((time > 0.15) & (time < 0.35), 0.5, 1e-3)
    samples: list[int] = np.round(32_767 * loud * np.sin(2 * np.pi * 300 * time)).astype(int).tolist()
    return samples


def golden() -> Golden:
    return {"units": units(), "windows": windows(), "stretches": passages(), "waveform": waveform(), "curve": curve(), "g711": g711()}


def units() -> Golden:
    cases = [(0.5, 1), (1.5, 1), (2.5, 1), (0.016, 22_050), (0.1, 4_410), (3.0, 44_100)]
    return {"cases": cases, "samples": [seconds_to_samples(*case) for case in cases]}


def windows() -> list[Golden]:
    rng = np.random.default_rng(0)
    found: list[Golden] = []
    for length, window, hop in [(10, 4, 2), (11, 4, 2), (3, 4, 2), (100, 30, 7)]:
        starts, edges = window_starts(length, window, hop), cell_edges(length, hop)
        answers = np.round(rng.dirichlet(np.ones(3), len(starts)), 6)
        cells, covered = smooth(answers, starts, window, edges)
        rows = [row if is_covered else None for row, is_covered in zip(cells.tolist(), covered.tolist(), strict=True)]
        found.append(
            {"length": length, "window": window, "hop": hop, "starts": starts, "edges": edges.tolist(), "answers": answers.tolist()}
            | {"cells": rows}
        )
    return found


def passages() -> list[Golden]:
    cases: list[list[str | None]] = [["sad", "sad", None, "sad", "happy"], [], [None], ["sad"]]
    return [{"answers": case, "stretches": stretches(case)} for case in cases]


def waveform() -> Golden:
    samples = clip()
    mono = (np.array(samples) / 32_768).astype(np.float32)
    hop = seconds_to_samples(0.016, RATE)
    energy = hop_energy(mono, hop)
    power = frame_power(energy, hop)
    prepared = prepare(mono, RATE, AudioConfig.model_validate(AUDIO))
    return {
        "audio": AUDIO,
        "samples": samples,
        "hop": hop,
        "energy": energy.tolist(),
        "power": power.tolist(),
        "speech": find_speech(power, 30.0).astype(int).tolist(),
        "prepared": np.round(prepared.prepared.astype(np.float64), 7).tolist(),
    }


def curve() -> Golden:
    windows = [
        {"weights": [0.1, 0.2, 0.3, 0.4], "start": 0.0, "reach": [0.0, 1.0]},
        {"weights": [0.7, 0.1, 0.1, 0.1], "start": 0.5, "reach": [0.5, 1.5]},
    ]
    found = Curve(1.75, 4.0)
    found.add(np.array([0.1, 0.2, 0.3, 0.4]), 4.0, 0.0, (0.0, 1.0))
    found.add(np.array([0.7, 0.1, 0.1, 0.1]), 4.0, 0.5, (0.5, 1.5))
    attention = found.attention()
    return {"seconds": 1.75, "windows": windows, "rate": attention.rate, "weights": [round(weight, 3) for weight in attention.weights]}


def g711() -> Golden:
    """The samples of all 256 bytes, as libsndfile reads them."""
    found: Golden = {}
    for subtype in ("ALAW", "ULAW"):
        raw = io.BytesIO(bytes(range(256)))
        found[subtype] = soundfile.read(raw, samplerate=8_000, channels=1, format="RAW", subtype=subtype, dtype="int16")[0].tolist()
    return found


if __name__ == "__main__":
    FILE.write_text(json.dumps(golden()) + "\n", encoding="utf-8")
