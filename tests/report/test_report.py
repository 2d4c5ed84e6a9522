"""`ser report`: one page that needs nothing else, and a card that says what binds its reader."""

import base64
import html
import io
import json
import math
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from backbones import tiny_backbone
from conftest import Ser
from ser.config import ProtocolConfig
from ser.corpora.licences import model_licence, sound_licence
from ser.corpora.registry import CORPORA
from ser.evaluation.calibration import write_with_digest
from ser.evaluation.perception import Accuracy, Ceiling, Human, Perceived
from ser.evaluation.predictions import Predictions
from ser.pipeline.report import report
from ser.report.build import headline
from ser.report.card import model_card
from ser.report.examples import clear_cases, sound_uri, worst_confusions
from ser.report.facts import RunFacts, read_facts
from ser.report.figures.speakers import SpeakerPoint
from ser.report.page import Note, Table
from ser.report.sections import examples as example_sections
from ser.report.sections import parts as section_parts
from ser.report.sections.curves import curves_section
from ser.report.sections.data import protocol_name, protocol_title
from ser.report.sections.perceived import perceived_section
from ser.report.sections.speakers import ends
from ser.runs.run import Run
from ser.splits.certificate import read_certificate, write_certificate
from ser.splits.protocols import find_protocol, read_protocols
from ser.system.files import exclusive_lock
from ser.system.optional import install_hint
from ser.system.tables import write_table
from trees import write_trees
from workspace import Workspace, make_workspace, rows_of

pytest.importorskip("matplotlib", reason="the extra viz draws")
pytest.importorskip("jinja2", reason="the extra viz writes the page")

SECTIONS = [
    "Model and data",
    "Leakage certificate",
    "Learning curves",
    "Scores on test",
    "Confusion matrices",
    "Each speaker",
    "Agreement with listeners",
    "How reliable its confidence is",
    "Weights of experts",
    "Attention",
    "Most confident errors",
    "Robustness",
    "Fairness",
    "Glossary",
]
CLAIM = "speaker-independent"
VOID = {"meta", "link", "br", "hr", "img", "input", "source"}


class Page(HTMLParser):
    """A page as a browser sees it, and whether its elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.labels: list[str] = []
        self.words: list[str] = []
        self.scopes = {"th": 0, "scope": 0}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        (self.links if tag == "a" else self.loads).extend(
            values[key] for key in ("href", "src", "srcset", "data", "poster") if key in values
        )
        self.scopes["th"] += tag == "th"
        self.scopes["scope"] += "scope" in values
        if tag == "svg":
            assert values["role"] == "img"
            self.labels.append(values["aria-label"])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def copy_of(run: Run, folder: Path) -> Run:
    shutil.copytree(run.folder, folder)
    return Run(folder)


def page_of(run: Run) -> Page:
    return Page((run.folder / "report.html").read_text())


def card_of(run: Run) -> str:
    return (run.folder / "MODEL_CARD.md").read_text()


def told(ser: Ser, run: Run, *options: str) -> Page:
    answer = ser("report", run.folder, *options)
    assert answer.code == 0, answer.err
    assert str(run.folder / "report.html") in answer.out
    return page_of(run)


def few_examples(patch: pytest.MonkeyPatch) -> None:
    """One picture of a right answer and one of a mistake, where the others would only take time."""
    patch.setattr(example_sections, "clear_cases", lambda test: clear_cases(test)[:1])
    patch.setattr(example_sections, "worst_confusions", lambda test: worst_confusions(test)[:1])


@pytest.fixture
def run(tmp_path: Path, finished: Run) -> Run:
    """A whole run that may be spoiled, with its recordings where they were."""
    return copy_of(finished, tmp_path / "finished")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    few_examples(monkeypatch)


@pytest.fixture
def unpainted(monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    """Pictures are boxes with their descriptions: for tests of the words around them. Drawing them takes most of a report's time."""
    monkeypatch.setattr(
        section_parts, "inline_svg", lambda _figure, _name, description: f'<svg role="img" aria-label="{html.escape(description)}"></svg>'
    )


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory, finished: Run) -> Run:
    """With a report without sound and without robustness. Not to be changed."""
    run = copy_of(finished, tmp_path_factory.mktemp("reported") / "finished")
    with pytest.MonkeyPatch.context() as patch:
        few_examples(patch)
        report(str(run.folder), audio=False, clips=0)
    return run


# -- the page --------------------------------------------------------------------------------


def test_a_report_is_one_page_that_asks_for_nothing_else(run: Run, ser: Ser) -> None:
    page = told(ser, run, "--clips", "12")
    assert [title for title in SECTIONS if title not in page.text] == []
    assert len(set(page.ids)) == len(page.ids)
    assert [link for link in page.links if link[1:] not in page.ids] == [], "the table of contents leads somewhere"
    assert all(load.startswith(("data:image/png;base64,", "data:audio/wav;base64,", "#")) for load in page.loads)
    source = (run.folder / "report.html").read_text()
    assert "url(http" not in source
    assert "@import" not in source
    assert not {"script", "iframe", "link", "object", "embed"} & set(page.tags)
    assert page.scopes["th"] == page.scopes["scope"] > 50
    assert all(len(label) > 20 for label in page.labels)
    assert source.count('class="drawing" tabindex="0"') == len(page.labels), "what scrolls can be scrolled with keys"
    assert "audio" in page.tags
    assert "do not pass this page on while it holds sound" in page.text
    assert "UAR under each condition" in " ".join(page.labels)
    assert {path.name for path in run.folder.iterdir()} >= {"report.html", "MODEL_CARD.md"}


def test_what_is_certified_may_be_called_speaker_independent(reported: Run) -> None:
    page = page_of(reported)
    assert f"The result is {CLAIM}" in page.text
    assert f"The result is {CLAIM}" in card_of(reported)
    assert f"{100 * json.loads(reported.metrics.read_text())['uar']:.1f} %" in page.text


def test_what_was_not_asked_for_is_not_there_and_told(reported: Run) -> None:
    page = page_of(reported)
    assert "audio" not in page.tags
    assert "No sound: it was turned off for this report." in page.text
    assert "Not measured: it was turned off (--clips 0)." in page.text


def test_equal_runs_give_equal_pages(reported: Run, tmp_path: Path, quick: None) -> None:
    again = copy_of(reported, tmp_path / reported.folder.name)
    report(str(again.folder), audio=False, clips=0)
    for name in ("report.html", "MODEL_CARD.md"):
        assert (again.folder / name).read_bytes() == (reported.folder / name).read_bytes()


def test_the_words_stand_nowhere_in_the_report_of_a_random_split_and_absent_recordings_are_told_once(
    workspace: Workspace, unpainted: None, ser: Ser
) -> None:
    split = "split={name: random, rule: random, kind: sample-disjoint}"
    workspace.run("extract,load", split)
    run = workspace.train("random", split, "train.epochs=1")
    page = told(ser, run, "--set", f"project.processed_dir={workspace.root / 'nowhere'}")
    for text in (page.text, card_of(run)):
        assert CLAIM not in text
        assert "independent" not in text
        assert re.search(r"\d+ of the \d+ test speakers are in the training data", text)
    assert page.text.count("the manifest with the place of its recording is missing") == 2, "for attention and for mistakes"
    assert "Not measured: the manifest with the places of the recordings is missing." in page.text


def test_a_run_without_val_says_so(savee: Workspace, unpainted: None, ser: Ser) -> None:
    split = "split={rule: explicit-speakers, test_speakers: [savee/DC]}"
    savee.run("extract,transform,load", split)
    run = savee.train("no-val", split, "train.epochs=1")
    run.calibration.unlink()  # as in runs of old versions
    page = told(ser, run, "--clips", "0", "--no-audio")
    assert "no speaker was left for validation, and nothing is fitted on test" in page.text
    assert "1 speaker: an interval over fewer than 5 means nothing" in page.text
    assert "No corpus of test has both women and men" in page.text
    card = card_of(run)
    assert "No corpus of test has both women and men" in card
    assert "was fitted to the val speakers" not in card
    assert "- val: nothing\n" in card
    assert "few sentences, in British English" in card
    assert "calibration.json" not in card_of(run), "it is not there to be read"


def test_a_mixture_of_experts_tells_whom_it_listened_to(tmp_path: Path, unpainted: None, ser: Ser) -> None:
    write_trees(tmp_path / "raw", ["savee"], takes=1)
    space = make_workspace(tmp_path, tmp_path / "raw", tiny_backbone("wavlm"))
    space.run("extract,transform,load")
    run = space.train("moe")
    page = told(ser, run, "--clips", "0", "--no-audio")
    labels = " ".join(page.labels)
    assert "Mean weight of each expert" in labels
    assert "hidden states, number" in labels
    assert "waveform, log-mel and attention of savee_" in labels
    assert f"The backbone {tiny_backbone('wavlm').name}".replace("_", r"\_") in card_of(run)
    assert str(tiny_backbone("wavlm").parent) not in page.text + card_of(run), "where it stands is nobody's business"
    absent = told(ser, run, "--clips", "0", "--set", f"ssl.model_id={tmp_path / 'elsewhere'}")
    assert "the model is not available" in absent.text
    assert str(tmp_path) not in absent.text + card_of(run)
    assert "Mean weight of each expert" in " ".join(absent.labels)
    assert "and attention of" not in " ".join(absent.labels)
    assert "audio" in absent.tags, "the recordings are here all the same"


def test_names_are_text_and_nothing_else(tmp_path: Path, finished: Run, unpainted: None, ser: Ser) -> None:
    run = copy_of(finished, tmp_path / "<script>alert(1)<|script> *x* {{ 7*7 }}")
    page = told(ser, run, "--clips", "0", "--no-audio")
    assert "script" not in page.tags
    assert "<script>alert(1)<|script> *x* {{ 7*7 }}: spectral_crnn" in page.text
    assert card_of(run).startswith(r"# \<script\>alert(1)\<\|script\> \*x\* \{\{ 7\*7 \}\}: spectral\_crnn")


def test_the_recordings_may_have_changed_since(tmp_path: Path, finished: Run, prepared: Workspace, unpainted: None, ser: Ser) -> None:
    """One was replaced by another of the same length; the page does not show what the model never heard."""
    run = copy_of(finished, tmp_path / "run")
    shutil.copytree(prepared.raw, tmp_path / "raw")
    for path in (tmp_path / "raw").rglob("*.wav"):
        path.write_bytes(path.read_bytes()[:-2] + b"\x01\x01")
    page = told(ser, run, "--clips", "4", "--set", f"project.raw_dir={tmp_path / 'raw'}")
    assert "none of the chosen recordings can be read" in page.text
    assert str(tmp_path) not in page.text + card_of(run), "where they should lie is nobody's business"
    assert page.text.count("its recording has changed since the run") == 2
    assert "audio" not in page.tags


# -- the card ------------------------------------------------------------------------------------


def test_the_card_says_how_to_use_the_model_and_that_works(
    reported: Run, tmp_path: Path, prepared: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copy_of(reported, tmp_path / "run")
    card = card_of(run)
    assert "Not for commercial use, because it was made with RAVDESS (CC BY-NC-SA 4.0)" in card
    assert read_certificate(run.split / "leakage.json").digest in card
    assert "No decisions about people" in card
    assert "doi:10.1109/TAFFC.2014.2336244" in card
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    shutil.copy(next(prepared.raw.rglob("*.wav")), run.folder / "speech.wav")
    monkeypatch.chdir(run.folder)
    exec(code, {})


# -- what cannot be told ----------------------------------------------------------------------------


def refused(ser: Ser, run: Run, code: int, words: str, *options: str) -> None:
    answer = ser("report", run.folder, "--clips", "0", *options)
    assert answer.code == code, answer.err
    assert words in answer.err
    assert len(answer.err.splitlines()) == 1
    assert not (run.folder / "report.html").exists()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, ser: Ser) -> None:
    refused(ser, Run(tmp_path / "nothing"), 3, "is not a run")


def test_a_run_that_is_not_finished_is_refused(run: Run, ser: Ser) -> None:
    run.metrics.unlink()
    refused(ser, run, 3, "is not finished")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def drop_line(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def edit_last(path: Path, changes: Mapping[str, Any]) -> None:
    """Of the last row the cells of these columns; a function takes what stands there."""
    rows = rows_of(path)
    for column, new in changes.items():
        rows[-1][column] = str(new(rows[-1][column])) if callable(new) else new
    write_table(path, tuple(rows[0]), rows)


def edit_json(path: Path, changes: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def recalibrate(run: Run, change: Any) -> None:
    """Another calibration.json with a digest that fits."""
    content = json.loads(run.calibration.read_text())
    del content["digest"]
    change(content)
    write_with_digest(run.calibration, content)


def doubled(run: Run) -> None:
    classes = read_certificate(run.split / "leakage.json").classes
    edit_last(run.predictions, {f"p_{name}": lambda cell: 2 * float(cell) for name in classes})


def forge(run: Run) -> None:
    path = run.split / "leakage.json"
    write_certificate(path, read_certificate(path).model_copy(update={"kind": "none"}))


DAMAGES: Sequence[tuple[str, Any, int, str]] = [
    ("predictions cut", lambda run: run.predictions.write_text(run.predictions.read_text()[:-30]), 4, "predictions.csv"),
    ("predictions gone", lambda run: run.predictions.unlink(), 4, "has no predictions.csv"),
    ("a row is missing", lambda run: drop_line(run.predictions), 4, "does not hold the utterances of"),
    ("another speaker", lambda run: edit_last(run.predictions, {"speaker": "crema/1"}), 4, "names another corpus, speaker or truth of"),
    ("no probabilities", doubled, 4, "do not sum to 1"),
    ("scores edited", lambda run: edit(run.metrics, '"uar": 0.', '"uar": 0.0'), 4, "gives another UAR"),
    ("scores damaged", lambda run: run.metrics.write_text("{}"), 4, "is not a file of scores of this program (uar: Field required)"),
    ("no number as score", lambda run: edit_json(run.metrics, {"uar": math.nan}), 4, "test_metrics.json"),
    ("odd votes", lambda run: edit_json(run.metrics, {"perceived": {"uar": 0.5}}), 4, "(perceived.wa: Field required)"),
    ("scores are no JSON", lambda run: run.metrics.write_text("{"), 4, "test_metrics.json is corrupted"),
    ("history damaged", lambda run: edit(run.history, "0.", "zero."), 4, "history.csv is corrupted"),
    ("history with a gap", lambda run: edit_last(run.history, {"train_uar": ""}), 4, "history.csv is corrupted"),
    ("history without val", lambda run: edit_last(run.history, {"val_uar": ""}), 4, "history.csv is corrupted"),
    ("history not finite", lambda run: edit_last(run.history, {"train_loss": "nan"}), 4, "a value is not finite"),
    ("history cut", lambda run: run.history.write_text(run.history.read_text().splitlines(keepends=True)[0]), 4, "is missing"),
    ("another's temperature", lambda run: recalibrate(run, lambda content: content.update(temperature=7.0)), 4, "belongs to another run"),
    ("another's weights", lambda run: recalibrate(run, lambda content: content.update(weights="0" * 64)), 4, "belongs to another run"),
    ("no effect on test", lambda run: recalibrate(run, lambda content: content.pop("test")), 4, "is not a calibration of this program"),
    ("null on test", lambda run: recalibrate(run, lambda content: content.update(test=None)), 4, "is not a calibration of this program"),
    ("calibration edited", lambda run: edit(run.calibration, '"bins": 15', '"bins": 16'), 4, "calibration.json is corrupted"),
    ("certificate edited", lambda run: edit(run.split / "leakage.json", '"seed": 42', '"seed": 43'), 3, "was edited"),
    ("split edited", lambda run: drop_line(run.split / "test.csv"), 3, "test.csv differs from its certificate"),
    ("weights damaged", lambda run: run.best.write_bytes(run.best.read_bytes()[:-100]), 4, "best.pth"),
    ("weights of another epoch", lambda run: shutil.copy(run.last, run.best), 4, "are not those that"),
    ("another split's certificate", forge, 3, "was measured under another certificate"),
]


@pytest.mark.parametrize(("damage", "code", "words"), [case[1:] for case in DAMAGES], ids=[case[0] for case in DAMAGES])
def test_what_is_damaged_or_does_not_fit_is_told_in_one_line(run: Run, ser: Ser, damage: Any, code: int, words: str) -> None:
    damage(run)
    refused(ser, run, code, words)


def test_a_certificate_that_proves_less_than_the_scores_claim_is_refused(run: Run, ser: Ser) -> None:
    forge(run)
    old = json.loads(run.metrics.read_text())
    run.metrics.write_text(json.dumps(old | {"certificate": read_certificate(run.split / "leakage.json").digest}))
    refused(ser, run, 3, "claims what the certificate")


def test_a_certificate_that_does_not_prove_what_it_declares_is_refused(run: Run, ser: Ser) -> None:
    """Its digest fits, but a recording of test stands in train, too."""
    path = run.split / "leakage.json"
    old = read_certificate(path)
    train, test = (dict(old.splits[name].samples) for name in ("train", "test"))
    train[next(iter(train))] = next(iter(test.values()))
    forged = old.model_copy(update={"splits": {**old.splits, "train": old.splits["train"].model_copy(update={"samples": train})}})
    write_certificate(path, forged)
    edit_json(run.metrics, {"certificate": forged.digest, "speaker_independent": False})
    refused(ser, run, 3, "train and test share 1 samples")


def test_what_a_killed_report_left_is_removed(run: Run, unpainted: None, ser: Ser) -> None:
    leftover = run.folder / ".report.html.1.tmp"
    leftover.write_text("half a pa")
    told(ser, run, "--clips", "0", "--no-audio")
    assert not leftover.exists()


def test_without_the_extra_it_is_named(run: Run, ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ser.system.optional.find_spec", lambda name: None)
    refused(ser, run, 2, f"a report needs matplotlib and jinja2: {install_hint('viz')}")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("train.epochs=3", "train.epochs: this is fixed by the run"),
        ("project.raw=x", "unknown key project.raw"),
        ("project.seed=7", "project.seed: this is fixed by the run"),
        ("project.corpora=[tess]", "project.corpora: this is fixed by the run"),
        pytest.param(
            "train.device=cuda",
            "train.device cuda is not available on this machine",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="it is here"),
        ),
        ("nonsense", "expected key.sub=value"),
    ],
)
def test_a_setting_that_would_tell_another_story_is_refused(run: Run, ser: Ser, setting: str, words: str) -> None:
    refused(ser, run, 2, words, "--set", setting)


def test_two_reports_of_one_run_do_not_write_at_once(run: Run, ser: Ser) -> None:
    with exclusive_lock(run.lock):
        refused(ser, run, 5, "is being written by process")


# -- in words --------------------------------------------------------------------------------------


LICENCES = [
    (["crema"], ["attribution"], ["commercial"]),
    (["ravdess"], ["Not for commercial use", "RAVDESS (CC BY-NC-SA 4.0)"], ["CREMA", "altered"]),
    (["savee"], ["Not for commercial use", "SAVEE (research use, after registration)"], ["altered"]),
    (["tess"], ["Not for commercial use", "TESS (CC BY-NC-ND 4.0, which forbids altered copies of its audio as well)"], []),
    (["crema", "tess"], ["Not for commercial use", "altered copies", "CREMA-D (ODbL 1.0) requires attribution"], []),
    (["crema", "ravdess", "savee", "tess"], ["Not for commercial use", "RAVDESS", "SAVEE", "TESS", "CREMA-D"], []),
]


@pytest.mark.parametrize(("corpora", "said", "unsaid"), LICENCES, ids=["+".join(case[0]) for case in LICENCES])
def test_a_model_carries_the_licences_of_its_training_corpora_in_one_sentence(
    corpora: list[str], said: list[str], unsaid: list[str]
) -> None:
    sentence = model_licence(corpora)
    assert [words for words in said if words not in sentence] == []
    assert [words for words in unsaid if words in sentence] == []
    assert sentence.endswith(".")
    assert ". " not in sentence


def test_every_corpus_that_is_not_free_keeps_its_sound() -> None:
    for corpus in CORPORA:
        kept = "do not pass this page on" in sound_licence([corpus])
        assert kept == (corpus != "crema")


def test_what_listeners_heard_stands_beside_what_people_reach(finished: Run) -> None:
    facts = read_facts(finished.folder)
    people = Accuracy(uar=0.4, wa=0.45)
    ceiling = Ceiling(uar=0.4, wa=0.45, n=850)
    human = Human(answers=900, answers_kept=0.75, single=people, plurality=people, ceiling=ceiling)
    scores = facts.scores
    found = Perceived(**scores.by_metric(), n=scores.n, speakers=scores.speakers, clips=80, cross_entropy=1.5, entropy=1.1, human=human)
    outcome = facts.outcome.model_copy(update={"perceived": found})
    note, table, _ = perceived_section(replace(facts, outcome=outcome)).items
    assert isinstance(note, Note)
    assert not note.missing
    assert "not among the model's classes" not in note.text
    fewer = replace(facts.test, classes=("neutral", "calm", "happy", "sad", "angry", "fear", "other", "surprise"))
    told_fewer = perceived_section(replace(facts, outcome=outcome, predictions={"test": fewer})).items[0]
    assert isinstance(told_fewer, Note)
    assert "not among the model's classes (disgust), 25.0 % of them, are left out" in told_fewer.text
    assert isinstance(table, Table)
    assert list(table.rows[0][:2]) == ["the model", "votes of listeners"]
    assert table.rows[1][2:] == ["850 answers", "40.0", "45.0"]
    (absent,) = perceived_section(facts).items
    assert isinstance(absent, Note)
    assert absent.missing


def predictions(rows: Sequence[Sequence[float]], truth: Sequence[int], ids: Sequence[str] | None = None) -> Predictions:
    n = len(rows)
    names = ids or [f"tess_{index}" for index in range(n)]
    return Predictions(names, ["tess"] * n, ["tess/OAF"] * n, np.array(truth), np.array(rows), ("happy", "sad"))


def test_the_clear_cases_are_the_surest_right_answers() -> None:
    table = predictions([[0.6, 0.4], [0.9, 0.1], [0.95, 0.05], [0.2, 0.8]], [0, 0, 1, 0])
    assert clear_cases(table) == [1], "of sad there is no right answer"


def test_mistakes_of_equal_confidence_come_by_id_and_each_pair_once() -> None:
    table = predictions([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.2, 0.8]], [1, 1, 0, 1], ["b", "a", "c", "d"])
    assert worst_confusions(table) == [1, 2]
    assert worst_confusions(table, count=1) == [1]


def test_a_sound_is_a_wav_of_the_same_samples() -> None:
    wave = np.array([0.5, -1.0, 0.25], np.float32)
    head, _, code = sound_uri(wave, 16_000).partition(",")
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(code)))
    assert head == "data:audio/wav;base64"
    assert rate == 16_000
    np.testing.assert_allclose(samples, wave, atol=2**-15)


# -- what is said of this run and not of another ---------------------------------------------------------


def changed(finished: Run, section: str, **values: Any) -> RunFacts:
    """The facts of a run whose config had these values."""
    facts = read_facts(finished.folder)
    return replace(facts, config=facts.config.model_copy(update={section: getattr(facts.config, section).model_copy(update=values)}))


FOLD = next(fold for fold in find_protocol("ravdess/emobox").folds if fold.name == "2")
EMOBOX = ProtocolConfig(name="ravdess/emobox", fold="2")
ONE_FOLD = next(protocol for protocol in read_protocols().values() if len(protocol.folds) == 1)


def as_fold(finished: Run, protocol: ProtocolConfig, split: str, counts: Mapping[str, int]) -> RunFacts:
    facts = read_facts(finished.folder)
    splits = {name: part.model_copy(update={"n": counts.get(name, part.n)}) for name, part in facts.certificate.splits.items()}
    certificate = facts.certificate.model_copy(update={"name": split, "splits": splits})
    return replace(facts, config=facts.config.model_copy(update={"protocol": protocol}), certificate=certificate)


SMALL = " (its corpora were incomplete)"


@pytest.mark.parametrize(
    ("protocol", "split", "counts", "title", "caveat"),
    [
        (ProtocolConfig(), "default", {}, "", False),
        (EMOBOX, "ravdess-emobox-v1-2", FOLD.counts.model_dump(), "ravdess/emobox, fold 2", True),
        (EMOBOX, "ravdess-emobox-v1-2", {}, f"ravdess/emobox, fold 2{SMALL}", True),
        (EMOBOX, "ravdess-emobox-v1-2-leaky", FOLD.counts.model_dump(), "a random split of the sizes of ravdess/emobox, fold 2", True),
        (ProtocolConfig(name="of/tomorrow", fold="2"), "of-tomorrow-v1-2", {}, "of/tomorrow, fold 2", False),
        (
            ProtocolConfig(name=ONE_FOLD.name, fold=ONE_FOLD.folds[0].name),
            ONE_FOLD.split_name(ONE_FOLD.folds[0]),
            ONE_FOLD.folds[0].counts.model_dump(),
            f"{ONE_FOLD.name}, fold {ONE_FOLD.folds[0].name}",
            False,
        ),
    ],
)
def test_a_fold_is_named_after_its_protocol_and_not_taken_for_its_result(
    finished: Run, protocol: ProtocolConfig, split: str, counts: Mapping[str, int], title: str, caveat: bool
) -> None:
    known = as_fold(finished, protocol, split, counts)
    assert protocol_title(known) == title
    assert ("not the protocol's result" in protocol_name(known)) == caveat


def test_the_headline_promises_its_number_of_no_single_emotion(finished: Run) -> None:
    assert re.search(r"for \d+ of 100 clips, averaged over emotions, on \d+ test clips", headline(read_facts(finished.folder)))


def test_a_corpus_that_only_chose_the_epoch_binds_the_model_too(finished: Run) -> None:
    facts = read_facts(finished.folder)
    by_corpus = {corpus: tuple(entry for entry in facts.entries["train"] if entry.corpus == corpus) for corpus in CORPORA}
    card = model_card(replace(facts, entries={"train": by_corpus["crema"], "val": by_corpus["tess"], "test": by_corpus["savee"]}), "no.")
    assert "Not for commercial use, because it was made with TESS" in card
    assert "calibrated on the val speakers of TESS only" in card
    cited = card.partition("## Cite")[2]
    assert [name for name in ("CREMA-D", "TESS", "SAVEE") if name not in cited] == []
    assert "RAVDESS" not in card
    assert "in British and North American English" in card


def test_the_card_tells_what_was_learned_from_what(finished: Run) -> None:
    assert "recognises what actors were asked to express" in model_card(read_facts(finished.folder), "no.")
    votes = model_card(changed(finished, "train", targets="votes"), "no.")
    assert "recognises what listeners perceived in CREMA-D" in votes
    assert "- targets: the votes of CREMA-D" in votes
    assert "- altered copies: 3 of every training clip" in model_card(changed(finished, "augmentations", copies=3), "no.")
    assert "- labels merged: calm counts as neutral" in model_card(changed(finished, "labels", merge={"calm": "neutral"}), "no.")
    assert "of one longer than 2.5 s, its centre" in model_card(changed(finished, "audio", duration=2.5), "no.")
    assert "as long as it is" in model_card(changed(finished, "audio", duration=None), "no.")


def test_the_learning_curves_name_only_what_was_done(finished: Run) -> None:
    def said(section: str, **values: Any) -> str:
        note = curves_section(changed(finished, section, **values)).items[0]
        assert isinstance(note, Note)
        return note.text

    assert "with masked features, altered copies and smoothed targets" in said("augmentations", copies=2)
    assert "altered copies" not in said("augmentations", copies=0)
    assert "masked features" not in said("specaugment", freq_masks=0, time_masks=0)
    assert "smoothed targets" in said("train", label_smoothing=0.1)
    assert "smoothed targets" not in said("train", label_smoothing=0.0)


def test_speakers_of_equal_scores_are_all_named() -> None:
    points = [SpeakerPoint("tess", f"tess/{name}", "female", value, 9) for name, value in (("A", 60.0), ("B", 60.0), ("C", 70.0))]
    assert ends(points) == "From 60.0 % (tess/A and tess/B) to 70.0 % (tess/C)."
