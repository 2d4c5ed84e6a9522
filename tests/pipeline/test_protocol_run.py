"""`ser protocol` on the synthetic corpora: every fold trained once, whatever happens, and told as what it is."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Ser
from ser.emotions import EMOTIONS
from ser.errors import ArtefactError, ConfigError, DataError
from ser.pipeline import paths
from ser.pipeline.protocol import plan_jobs, run_protocol
from ser.runs.run import Run
from ser.splits.protocols import find_protocol
from ser.system.files import exclusive_lock
from workspace import Row, Workspace, make_workspace, rows_of

WITHOUT_CALM = tuple(emotion for emotion in EMOTIONS if emotion != "calm")

QUICK = ("train.epochs=1", "protocol.seeds=[1]")


def results_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "protocol.json").read_text())
    return content


def predictions_of(folder: Path) -> list[Row]:
    return rows_of(folder / "predictions.csv")


def stamps(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("best.pth"))}


def test_every_fold_is_trained_once_with_every_seed(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    config = workspace.config("train.epochs=1", "protocol.seeds=[1, 2]")
    folder = run_protocol(config, "savee/loso", incomplete=True)
    printed = capsys.readouterr().out
    results, rows = results_of(folder), predictions_of(folder)

    assert {(row["fold"], row["seed"]) for row in rows} == {(fold, seed) for fold in ("DC", "JE", "JK", "KL") for seed in "12"}
    assert all(row["speaker"] == f"savee/{row['fold']}" for row in rows)
    assert [fold["fold"] for fold in results["folds"]] == ["DC", "JE", "JK", "KL"]
    assert all(fold["clips"] == {"train": 42, "val": 0, "test": 14} for fold in results["folds"])
    assert results["complete"]
    assert not results["whole_corpora"]
    assert results["by_seed"]["uar"]["n"] == 2
    assert results["speaker_independent"]
    assert "speaker-independent: the certificates of all 4 folds prove it" in printed

    before = stamps(folder)
    run_protocol(config, "savee/loso", incomplete=True)
    assert stamps(folder) == before
    assert results_of(folder) == results


def test_a_run_that_was_stopped_goes_on_where_it_stopped_and_ends_as_if_it_had_not(workspace: Workspace) -> None:
    config = workspace.config("train.epochs=2", "protocol.seeds=[1]")
    folder = run_protocol(config, "savee/loso", incomplete=True)
    whole, kept = predictions_of(folder), stamps(folder)
    stopped = Run(folder / "JK-seed1")
    for path in (stopped.metrics, stopped.predictions, stopped.confusion, folder / "protocol.json", folder / "predictions.csv"):
        path.unlink()

    run_protocol(config, "savee/loso", incomplete=True)
    assert predictions_of(folder) == whole
    assert stamps(folder) == kept, "the weights of the stopped run were whole: only its measuring was missing"


def test_some_folds_alone_are_told_as_incomplete(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_protocol(workspace.config(*QUICK), "savee/loso", folds=["KL"], incomplete=True)
    assert [fold["fold"] for fold in results_of(folder)["folds"]] == ["KL"]
    assert not results_of(folder)["complete"]
    assert "not complete: 1 of 4 folds are here" in capsys.readouterr().out


def test_incomplete_corpora_are_refused_before_anything_is_trained(workspace: Workspace) -> None:
    with pytest.raises(DataError, match=r"savee/loso, fold DC: 42 clips in train instead of 360.*--incomplete continues"):
        run_protocol(workspace.config(*QUICK), "savee/loso")
    assert not list(workspace.runs.rglob("best.pth"))


def test_other_settings_get_another_folder_and_other_seeds_the_same(workspace: Workspace) -> None:
    first = run_protocol(workspace.config(*QUICK), "savee/loso", folds=["KL"], incomplete=True)
    again = run_protocol(workspace.config("train.epochs=1", "protocol.seeds=[2]"), "savee/loso", folds=["KL"], incomplete=True)
    other = run_protocol(workspace.config(*QUICK, "train.learning_rate=0.001"), "savee/loso", folds=["KL"], incomplete=True)
    assert first == again != other
    assert {path.name for path in first.iterdir() if path.is_dir()} == {"KL-seed1", "KL-seed2"}


def test_a_fold_whose_clips_have_changed_is_not_counted_as_finished(workspace: Workspace) -> None:
    config = workspace.config(*QUICK)
    run_protocol(config, "savee/loso", folds=["KL"], incomplete=True)
    manifest = workspace.processed / "manifest.csv"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(line for line in lines if not line.startswith("savee_DC_a01")))
    with pytest.raises(DataError, match="KL-seed1 was trained on other clips than those in the manifest"):
        run_protocol(config, "savee/loso", folds=["KL"], incomplete=True)


def test_a_fold_that_was_trained_where_other_defaults_held_is_not_counted_as_finished(workspace: Workspace) -> None:
    config = workspace.config(*QUICK)
    folder = run_protocol(config, "savee/loso", folds=["KL"], incomplete=True)
    stored = Run(folder / "KL-seed1").config
    stored.write_text(stored.read_text().replace('"label_smoothing": 0.1', '"label_smoothing": 0.2'))
    with pytest.raises(DataError, match=r"trained with other settings: train.label_smoothing \(0.2 in the run, 0.1 now\)"):
        run_protocol(config, "savee/loso", folds=["KL"], incomplete=True)


def test_what_leakage_buys_is_measured_on_random_splits_of_the_same_sizes(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_protocol(workspace.config(*QUICK), "savee/loso", leak_delta=True, incomplete=True)
    results = results_of(folder)
    leak = results["leak_delta"]
    assert leak["folds"] == ["DC", "JE", "JK", "KL"]
    assert leak["delta"] == pytest.approx(leak["uar_random_splits"] - leak["uar"])
    assert leak["interval"] is None, "over four folds, which are four speakers, an interval means nothing"
    assert "leakage would have inflated the score by" in capsys.readouterr().out

    leaky = json.loads((folder / "DC-seed1-leaky" / "test_metrics.json").read_text())
    assert leaky["n"] == 14
    assert not leaky["speaker_independent"]
    assert results["speaker_independent"], "the random splits are no part of what is claimed"
    assert not {row["fold"] for row in predictions_of(folder)} - {"DC", "JE", "JK", "KL"}


def test_where_speakers_stand_on_both_sides_the_words_do_not_appear(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_protocol(workspace.config(*QUICK), "tess/emobox", incomplete=True)
    printed = capsys.readouterr().out
    assert "speaker-independent" not in printed
    assert "speakers are in both train and test: compare with results of this protocol only" in printed
    assert not results_of(folder)["speaker_independent"]
    with pytest.raises(ConfigError, match="already has speakers in both train and test"):
        run_protocol(workspace.config(*QUICK), "tess/emobox", leak_delta=True, incomplete=True)


def test_the_matrix_is_printed_as_one_and_its_folds_have_classes_of_their_own(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    folds = ["savee-to-crema", "savee-to-tess"]
    folder = run_protocol(workspace.config(*QUICK), "cross-corpus", folds=folds, incomplete=True)
    rows = {row["fold"]: row for row in results_of(folder)["folds"]}
    assert len(rows["savee-to-crema"]["classes"]) == 6
    assert len(rows["savee-to-tess"]["classes"]) == 7
    assert results_of(folder)["pooled"] is None
    assert "trained on / tested on" in capsys.readouterr().out
    assert all(row["p_surprise"] == "" for row in predictions_of(folder) if row["fold"] == "savee-to-crema")


def test_a_fold_without_its_tested_speakers_is_left_out(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        jobs = list(plan_jobs(find_protocol("ravdess/loso"), workspace.config(), leaky_too=False, incomplete=True))
    assert [job.fold.name for job in jobs] == ["01", "02", "03", "04", "05", "06"]
    assert "ravdess/loso, fold 07 is left out" in caplog.text
    assert {*jobs[0].config.split.val_speakers} <= {f"ravdess/0{number}" for number in range(2, 7)}


def test_random_splits_of_folds_deal_every_clip_out_once(workspace: Workspace) -> None:
    jobs = [job for job in plan_jobs(find_protocol("ravdess/loso"), workspace.config(), leaky_too=True, incomplete=True) if job.leaky]
    tested = [i for job in jobs for i in job.split.ids("test")]
    assert len(jobs) == 6
    assert len(tested) == len(set(tested)) == 96
    for job in jobs:
        speakers = {name: set(facts.speakers) for name, facts in job.split.certificate.splits.items()}
        assert speakers["train"] & speakers["test"]
        assert job.split.certificate.kind == "sample-disjoint"


@pytest.mark.parametrize("name", ["leave-one-corpus-out", "cross-corpus"])
def test_what_leakage_buys_is_not_asked_where_other_corpora_are_tested(name: str, workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="tests corpora that it does not train on"):
        run_protocol(workspace.config(*QUICK), name, leak_delta=True, incomplete=True)


def test_a_delta_once_measured_stays_in_the_results(workspace: Workspace) -> None:
    config = workspace.config(*QUICK)
    folder = run_protocol(config, "savee/loso", leak_delta=True, incomplete=True)
    measured, before = results_of(folder)["leak_delta"], stamps(folder)
    run_protocol(config, "savee/loso", incomplete=True)
    assert results_of(folder)["leak_delta"] == measured
    assert stamps(folder) == before


def test_a_protocol_needs_no_split_of_the_config(savee: Workspace) -> None:
    config = savee.config(*QUICK, "labels.keep=[calm, neutral, happy]")  # which SAVEE could not be split for
    folder = run_protocol(config, "savee/loso", folds=["DC"], incomplete=True)
    assert results_of(folder)["folds"][0]["classes"] == [*WITHOUT_CALM]


def test_whatever_stands_in_the_place_of_a_split_is_written_over(workspace: Workspace) -> None:
    config = workspace.config(*QUICK)
    run_protocol(config, "savee/loso", folds=["DC", "JE", "JK", "KL"], incomplete=True)
    splits = workspace.processed / "splits"
    (splits / "savee-loso-v1-DC" / "leakage.json").write_text("")
    (splits / "savee-loso-v1-JE" / "train.csv").unlink()
    (splits / "savee-loso-v1-JK" / "train.csv").write_text("id,corpus,speaker,emotion,label\n")
    again = run_protocol(workspace.config(*QUICK, "train.learning_rate=0.001"), "savee/loso", incomplete=True)
    assert len(results_of(again)["folds"]) == 4


def test_another_process_in_the_processed_folder_is_waited_for(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = exclusive_lock(paths.lock_file(workspace.config().project))
    lock.__enter__()
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        lock.__exit__(None, None, None)

    monkeypatch.setattr("ser.pipeline.protocol.time.sleep", sleep)
    folder = run_protocol(workspace.config(*QUICK), "savee/loso", folds=["DC"], incomplete=True)
    assert len(waited) == 1
    assert results_of(folder)["folds"]


SPOILED: dict[str, Callable[[Path, Path], object]] = {
    "predictions of another fold": lambda run, other: shutil.copy(other / "predictions.csv", run / "predictions.csv"),
    "another speaker": lambda run, _: replaced(run / "predictions.csv", "savee/DC", "savee/ZZ"),
    "a row less": lambda run, _: (run / "predictions.csv").write_text("".join((run / "predictions.csv").read_text().splitlines(True)[:-1])),
    "no number": lambda run, _: edited(run / "test_metrics.json", uar=None),
    "text for a number": lambda run, _: edited(run / "test_metrics.json", uar="x"),
    "NaN": lambda run, _: (run / "test_metrics.json").write_text('{"uar": NaN}'),
    "an empty file": lambda run, _: (run / "test_metrics.json").write_text(""),
}


def replaced(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def edited(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, prepared: Workspace) -> tuple[Workspace, Path]:
    """Two folds of savee/loso, finished. Not to be changed."""
    root = tmp_path_factory.mktemp("measured")
    shutil.copytree(prepared.processed, root / "processed")
    space = make_workspace(root, prepared.raw)
    return space, run_protocol(space.config(*QUICK), "savee/loso", folds=["DC", "JE"], incomplete=True)


@pytest.mark.parametrize("what", SPOILED)
def test_a_damaged_fold_is_one_line_and_never_a_result(what: str, measured: tuple[Workspace, Path]) -> None:
    space, folder = measured
    run, kept = folder / "DC-seed1", folder / "kept"
    shutil.copytree(run, kept)
    try:
        SPOILED[what](run, folder / "JE-seed1")
        with pytest.raises(ArtefactError) as caught:
            run_protocol(space.config(*QUICK), "savee/loso", folds=["DC"], incomplete=True)
        assert "\n" not in str(caught.value)
    finally:
        shutil.rmtree(run)
        kept.rename(run)


def test_folds_of_other_features_are_not_mixed(measured: tuple[Workspace, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    space, folder = measured
    monkeypatch.setattr("ser.features.spectral_family.SpectralFamily.code_version", 999)
    with pytest.raises(DataError, match="were trained on features of another version"):
        run_protocol(space.config(*QUICK), "savee/loso", folds=["JK"], incomplete=True)
    assert len(results_of(folder)["folds"]) == 2, "the results are still those of before"
    shutil.rmtree(folder / "JK-seed1")


def test_speaker_independent_is_what_the_certificates_prove_not_what_the_protocol_declares(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ser.pipeline.protocol_results.speaker_independent", lambda certificate: "JK" not in certificate.name)
    folder = run_protocol(workspace.config(*QUICK), "savee/loso", incomplete=True)
    assert not results_of(folder)["speaker_independent"]
    assert [fold["speaker_independent"] for fold in results_of(folder)["folds"]] == [True, True, False, True]
    assert "speaker-independent" not in capsys.readouterr().out


def test_complete_corpora_need_no_leave_to_go_on(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = find_protocol("savee/loso")
    counts = protocol.folds[0].counts.model_copy(update={"train": 42, "val": 0, "test": 14})
    small = protocol.model_copy(update={"folds": tuple(fold.model_copy(update={"counts": counts}) for fold in protocol.folds)})
    monkeypatch.setattr("ser.pipeline.protocol.find_protocol", lambda name: small)
    results = results_of(run_protocol(workspace.config(*QUICK), "savee/loso"))
    assert results["whole_corpora"]
    assert results["complete"]
    assert results["parts"][0]["per_speaker"].keys() == {"savee/DC", "savee/JE", "savee/JK", "savee/KL"}


def test_the_command_line_lists_shows_and_runs(workspace: Workspace, ser: Ser) -> None:
    listed = ser("protocol", "list")
    assert listed.code == 0
    assert "ravdess/luna-jimenez" in listed.out
    shown = ser("protocol", "show", "crema/emobox")
    assert "in both train and test" in shown.out
    assert "5586 / 1856" in shown.out
    assert "speaker-independent" not in listed.out + ser("protocol", "show", "ravdess/emobox").out
    run = ser(
        "protocol",
        "run",
        "savee/emobox",
        "--config",
        workspace.config_file,
        "--seeds",
        "3",
        "--epochs",
        "1",
        "--folds",
        "1",
        "--incomplete",
    )
    assert run.code == 0, run.err
    assert "savee/emobox 1-seed3: UAR" in run.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "savee/lso"], "did you mean savee/loso"),
        (["run", "savee/loso"], "--config is missing"),
        (["run", "--config", "CONFIG"], "no protocol is named"),
        (["run", "savee/loso", "--config", "CONFIG", "--folds", "X"], "has no fold 'X'"),
        (["run", "savee/loso", "--config", "CONFIG", "--seeds", "1,1"], "listed twice"),
        (["run", "savee/loso", "--config", "CONFIG", "--seeds", "one"], "protocol.seeds"),
    ],
)
def test_a_wrong_command_is_one_line_and_exit_code_2(arguments: list[str], message: str, workspace: Workspace, ser: Ser) -> None:
    answer = ser("protocol", *[str(workspace.config_file) if word == "CONFIG" else word for word in arguments])
    assert answer.code == 2
    assert message in answer.err
    assert answer.err.count("\n") == 1
