"""What an exported model costs and saves: parity and scores on all test clips, size, cold start, latency.

    python benchmarks/exported.py [data/raw] --run runs/eight [--rounds 7] [--out table.md]

Needs a finished run, and the recordings of its test split. Ends with exit code 1 where the exported file and torch differ by more than 1e-4
in a probability. `--rounds 0` measures no times. A spectral_crnn with the shipped settings is compared with the plain way of librosa and
eager torch; an ssl_spectral_moe, whose training is to be one in `ssl.precision=fp32`, with the run itself.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from real_clips import ONE_THREAD, report
from ser.audio.decode import read_audio
from ser.corpora.manifest import Manifest, Utterance, read_manifest
from ser.evaluation.calibration import Calibration
from ser.evaluation.metrics import confusion_matrix, uar
from ser.evaluation.predictions import Predictions, read_predictions
from ser.inference.exported import Exported

TOLERANCE = 1e-4
LATENCY_SECONDS = 4.0
CALLS = 40
CHUNK = 64
PRECISIONS = ("fp32", "int8")
PLAIN = {"plain": "first", "eager": "ours"}
"""{way: whose network}"""
TITLES = {
    "plain": "librosa + eager torch, as first written",
    "eager": "librosa + eager torch, our network",
    "run": "the run, torch and transformers",
    "fp32": "exported, fp32",
    "int8": "exported, int8",
    "command": "`ser predict`, exported, fp32",
}

OURS = """
import sys
from pathlib import Path
from ser.audio.decode import read_audio
from ser.inference.exported import Exported
audio = read_audio(Path(sys.argv[2]))
print(Exported.load(Path(sys.argv[1])).infer(audio.samples, audio.sample_rate).probabilities.tolist())
"""
RUN = """
import sys
from pathlib import Path
from ser.audio.decode import read_audio
from ser.inference.recogniser import Recogniser
audio = read_audio(Path(sys.argv[2]))
print(Recogniser.load(Path(sys.argv[1]), device="cpu").infer(audio.samples, audio.sample_rate).probabilities.tolist())
"""
COMMAND = "from ser.cli import main; main()"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path, nargs="?", default=Path("data/raw"))
    parser.add_argument("--manifest", type=Path, default=Path("data/processed/manifest.csv"))
    parser.add_argument("--run", type=Path, default=Path("runs/eight"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    found = parser.parse_args()
    if not found.measure and not (found.manifest.is_file() and (found.run / "best.pth").is_file()):
        print(f"skipped: this benchmark needs {found.manifest} and a finished run in {found.run}")
        sys.exit(0)
    return found


def export_both(run: Path, folder: Path) -> dict[str, Path]:
    """In a process of its own: torch stays out of this one."""
    program = (
        "import sys; from pathlib import Path; from ser.export.onnx_file import export_run; from ser.runs.run import Run;"
        "[export_run(Run(Path(sys.argv[1])), Path(sys.argv[2]) / f'{of}.onnx', int8=of == 'int8') for of in ('fp32', 'int8')]"
    )
    subprocess.run([sys.executable, "-c", program, str(run), str(folder)], check=True)
    return {name: folder / f"{name}.onnx" for name in PRECISIONS}


# parity and scores


def hear_all(model: Exported, clips: Sequence[Utterance], raw: Path) -> np.ndarray:
    """(n, C)"""
    rows = []
    for start in range(0, len(clips), CHUNK):
        decoded = [read_audio(raw / clip.path) for clip in clips[start : start + CHUNK]]
        rows += [spoken.probabilities for spoken in model.infer_clips([(audio.samples, audio.sample_rate) for audio in decoded])]
    return np.stack(rows)


def scores(predictions: Predictions, probabilities: np.ndarray) -> list[float]:
    """UAR in per cent, of all and of each corpus."""
    corpora = np.array(predictions.corpora)
    parts = [np.ones(len(corpora), bool), *(corpora == name for name in sorted(set(predictions.corpora)))]
    answers = probabilities.argmax(axis=1)
    matrices = [confusion_matrix(predictions.truth[part], answers[part], len(predictions.classes)) for part in parts]
    return [100 * float(uar(matrix)) for matrix in matrices]


def score_table(predictions: Predictions, manifest: Manifest, raw: Path, models: Mapping[str, Exported]) -> tuple[list[str], float]:
    """The lines, and the largest difference of the fp32 file from torch."""
    clips = [manifest[utterance] for utterance in predictions.ids]
    corpora = sorted(set(predictions.corpora))
    torch_says = next(iter(models.values())).calibration.apply(predictions.probabilities)
    lines = [
        f"{len(clips)} clips of the test split, UAR in %; beside it the largest difference from torch in a calibrated probability.",
        "",
        f"| | all | {' | '.join(corpora)} | difference | other answers |",
        "|---" * (len(corpora) + 4) + "|",
        line("torch, in training", scores(predictions, torch_says), "", ""),
    ]
    differences = {}
    for name, model in models.items():
        said = hear_all(model, clips, raw)
        differences[name] = float(np.abs(said - torch_says).max())
        others = int((said.argmax(axis=1) != torch_says.argmax(axis=1)).sum())
        lines.append(line(f"exported, {name}", scores(predictions, said), f"{differences[name]:.1e}", str(others)))
    return lines, differences["fp32"]


def line(name: str, numbers: Sequence[float], *texts: str) -> str:
    return f"| {name} | {' | '.join([*(f'{number:.2f}' for number in numbers), *texts])} |"


# times


def clip_of(seconds: float, manifest: Manifest, raw: Path, model: Exported) -> Path:
    """The recording whose prepared waveform is nearest to this length."""
    from ser.audio.waveform import prepare

    def distance(clip: Utterance) -> float:
        audio = read_audio(raw / clip.path)
        return abs(len(prepare(audio.samples, audio.sample_rate, model.audio).prepared) / model.facts.sample_rate - seconds)

    likely = [clip for clip in manifest.utterances if seconds <= clip.duration < seconds + 1][:200]
    return raw / min(likely, key=distance).path


Times = dict[str, list[tuple[float, float]]]
"""{way: of each run the time that passed, and the time of the processor}: the second says more where the machine has other work."""


def cold(ways: Mapping[str, Sequence[str]], rounds: int) -> Times:
    """Seconds of whole processes, turn by turn, after one that filled the caches of each."""
    times: Times = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as cache:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"PYTHONPYCACHEPREFIX": cache}
        for number in range(rounds + 1):
            for name, command in ways.items():
                start, spent = time.perf_counter(), processor()
                subprocess.run([sys.executable, *command], check=True, capture_output=True, env=environment)
                if number:
                    times[name].append((time.perf_counter() - start, processor() - spent))
    return times


def processor() -> float:
    """Seconds that children have computed."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def warm(ways: Mapping[str, Path], clip: Path, rounds: int) -> Times:
    """Milliseconds of one call, the median of many in a process with one thread, in several processes turn by turn."""
    times: Times = {name: [] for name in ways}
    for _ in range(rounds):
        for name, path in ways.items():
            command = [sys.executable, __file__, "--measure", name, str(path), str(clip)]
            result = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | ONE_THREAD)
            passed, spent = json.loads(result.stdout.splitlines()[-1])
            times[name].append((passed, spent))
    return times


def measure(way: str, path: str, clip: str) -> None:
    """One process of `warm`."""
    call = plain_call(path, clip, PLAIN[way]) if way in PLAIN else run_call(path, clip) if way == "run" else exported_call(path, clip)
    for _ in range(CALLS):
        call()
    times = []
    for _ in range(CALLS):
        start, spent = time.perf_counter(), time.process_time()
        call()
        times.append((time.perf_counter() - start, time.process_time() - spent))
    print(json.dumps([1000 * statistics.median(column) for column in zip(*times, strict=True)]))


def plain_call(path: str, clip: str, network: str) -> Callable[[], object]:
    import torch

    from plain import Plain

    torch.set_num_threads(1)
    model = Plain(path, network)
    return lambda: model.hear(clip)


def run_call(path: str, clip: str) -> Callable[[], object]:
    import torch

    from ser.inference.recogniser import Recogniser

    torch.set_num_threads(1)
    model, file = Recogniser.load(Path(path), device="cpu"), Path(clip)

    def call() -> object:
        audio = read_audio(file)
        return model.infer(audio.samples, audio.sample_rate)

    return call


def exported_call(path: str, clip: str) -> Callable[[], object]:
    model, file = Exported.load(Path(path), threads=1), Path(clip)

    def call() -> object:
        audio = read_audio(file)
        return model.infer(audio.samples, audio.sample_rate)

    return call


def time_table(found: argparse.Namespace, files: Mapping[str, Path], clip: Path, model: Exported) -> list[str]:
    best, plain = found.run / "best.pth", str(Path(__file__).with_name("plain.py"))
    originals = {name: [plain, str(best), str(clip), network] for name, network in PLAIN.items()}
    if model.facts.family != "spectral_crnn":
        originals = {"run": ["-c", RUN, str(best), str(clip)]}
    first = next(iter(originals))
    check_same(subprocess_output(originals[first]), subprocess_output(["-c", OURS, str(files["fp32"]), str(clip)]), model.calibration)
    started = cold(
        {
            **originals,
            **{name: ["-c", OURS, str(path), str(clip)] for name, path in files.items()},
            "command": ["-c", COMMAND, "predict", str(clip), "--model", str(files["fp32"])],
        },
        found.rounds,
    )
    paths = {**dict.fromkeys(originals, best), **files}
    called = warm(paths, clip, found.rounds)
    lines = [
        f"A recording of {LATENCY_SECONDS:.0f} s after the trim, from decoding to probabilities; {found.rounds} runs, turn by turn: median",
        "and range of the time that passed, and the median of the processor's. Cold start is a whole new process; warm is the median of",
        f"{CALLS} calls with one thread.",
        "",
        "| way | size MB | cold start s | range | CPU s | times faster | by CPU | warm ms | range | CPU ms | times faster | by CPU |",
        "|---" * 12 + "|",
    ]
    for name in started:
        size = f"{paths[name].stat().st_size / 1e6:.2f}" if name in paths else ""
        cells = [TITLES[name], size, *spread(started[name], started[first], 2), *spread(called.get(name, []), called[first], 1)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def subprocess_output(command: Sequence[str]) -> np.ndarray:
    result = subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True)
    return np.array(json.loads(result.stdout.splitlines()[-1]))


def check_same(plain: np.ndarray, ours: np.ndarray, calibration: Calibration) -> None:
    """Both ways do the same work."""
    difference = np.abs(calibration.apply(plain) - ours).max()
    assert difference < 1e-2, f"the ways to be compared differ by {difference:.1e}"


def spread(times: Sequence[tuple[float, float]], plain: Sequence[tuple[float, float]], digits: int) -> list[str]:
    """Median and range of the time that passed, median of the processor's, and how many times faster than the plain way each is."""
    if not times:
        return [""] * 5
    (passed, spent), (slow, costly) = (tuple(zip(*repeats, strict=True)) for repeats in (times, plain))
    medians = [statistics.median(column) for column in (passed, spent)]
    faster = [f"{statistics.median(column) / median:.1f}" for column, median in zip((slow, costly), medians, strict=True)]
    return [f"{medians[0]:.{digits}f}", f"{min(passed):.{digits}f} to {max(passed):.{digits}f}", f"{medians[1]:.{digits}f}", *faster]


def main() -> None:
    found = arguments()
    if found.measure:
        measure(*found.measure)
        return
    manifest = read_manifest(found.manifest)
    with tempfile.TemporaryDirectory() as folder:
        files = export_both(found.run, Path(folder))
        models = {name: Exported.load(path, threads=1) for name, path in files.items()}
        lines, difference = score_table(read_predictions(found.run / "predictions.csv")["test"], manifest, found.raw, models)
        if found.rounds:
            clip = clip_of(LATENCY_SECONDS, manifest, found.raw, models["fp32"])
            lines += ["", *time_table(found, files, clip, models["fp32"])]
    report(lines, found.out)
    sys.exit(int(difference > TOLERANCE))


if __name__ == "__main__":
    main()
