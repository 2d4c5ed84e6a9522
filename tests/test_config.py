"""Configs: what is accepted, and that each refusal names the key, the value, the line and the nearest good key."""

import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest
from pydantic import ValidationError

from ser.config import AudioConfig, ExperimentConfig
from ser.config_file import MAX_BYTES, load_config
from ser.errors import ConfigError

SHIPPED = sorted(Path(str(resources.files("ser"))).glob("configs/*.yaml"))

Write = Callable[..., str]

NO_LAYERS = ("-1", "2.5", "true", "some", "'3'", "[]", "[3, 3]", "[1, -2]", "[1, x]", "{1: 2}")
MOE = "model:\n  name: ssl_spectral_moe\n  ssl_spectral_moe:\n    {}"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a config into an empty working folder; returns its name."""
    monkeypatch.chdir(tmp_path)

    def write(content: str | bytes, name: str = "c.yaml") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    return write


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_config_loads_by_its_name_with_and_without_suffix(path: Path) -> None:
    assert load_config(path.name) == load_config(path.stem) == load_config(path)


def test_an_empty_file_is_the_default_config(write: Write) -> None:
    assert load_config(write("# nothing but a comment\n")) == ExperimentConfig()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # unknown keys, with the nearest good one
        ("train: {epoch: 3}", "unknown key train.epoch (c.yaml, line 1): did you mean epochs?"),
        ("\n\ntrian: {epochs: 3}", "unknown key trian (c.yaml, line 3): did you mean train?"),
        ("model:\n  spectral_crnn:\n    dropuot: 0.1", "unknown key model.spectral_crnn.dropuot (c.yaml, line 3): did you mean dropout?"),
        ("zzz: 1", "unknown key zzz (c.yaml, line 1)"),
        ("1: 2", "unknown key 1 (c.yaml, line 1)"),
        ('"": 2', "unknown key '' (c.yaml, line 1)"),
        ('"a\\nb": 2', r"unknown key 'a\nb' (c.yaml, line 1)"),
        # wrong types
        ("train: {epochs: three}", "train.epochs: input should be a valid integer; got 'three' (c.yaml, line 1)"),
        ("train: {epochs: 3.5}", "train.epochs: input should be a valid integer; got 3.5"),
        ("train: {epochs: '3'}", "train.epochs: input should be a valid integer; got '3'"),
        ("train: {epochs: true}", "train.epochs: input should be a valid integer; got True"),
        ("train: {epochs: }", "train.epochs: input should be a valid integer; got None"),
        ("train: {learning_rate: '1e-3'}", "train.learning_rate: input should be a valid number; got '1e-3'"),
        ("train: {learning_rate: .nan}", "train.learning_rate: input should be a finite number; got nan"),
        ("train: {learning_rate: .inf}", "train.learning_rate: input should be a finite number; got inf"),
        ("audio: {trim_silence: off}", "audio.trim_silence: input should be a valid boolean; got 'off'"),
        ("audio: {trim_silence: 1}", "audio.trim_silence: input should be a valid boolean; got 1"),
        ("audio: {duration: 1:30}", "audio.duration: input should be a valid number; got '1:30'"),
        ("split: {name: 001}", "split.name: expected text: put it into quotes; got 1"),
        ("project: {raw_dir: 3}", "project.raw_dir: expected text: put it into quotes; got 3"),
        ("project: {corpora: crema}", "project.corpora: expected a list, like [crema]; got 'crema'"),
        ("train:", "train: expected keys below it; got None (c.yaml, line 1)"),
        ("train: [1]", "train: expected keys below it; got [1] (c.yaml, line 1)"),
        # ranges and choices; an item of a list is reported alone, on its own line
        ("train: {epochs: 0}", "train.epochs: input should be greater than or equal to 1; got 0"),
        ("runtime: {threads: 300}", "runtime.threads: input should be less than or equal to 256; got 300"),
        ("project: {seed: 4294967296}", "project.seed: input should be less than 4294967296; got 4294967296"),
        ("project: {raw_dir: ''}", "project.raw_dir: string should have at least 1 character; got ''"),
        (
            "project:\n  corpora:\n  - tess\n  - cremad",
            "project.corpora.1: input should be 'crema', 'ravdess', 'savee' or 'tess'; got 'cremad'",
        ),
        ("project:\n  corpora:\n  - cremad", "got 'cremad' (c.yaml, line 3)"),
        ("model: {name: spectral_crn}", "model.name: input should be"),
        ("labels:\n  keep:\n  - joy", "labels.keep.0: input should be 'neutral', 'calm'"),
        ("labels: {merge: {calmm: sad}}", "labels.merge.calmm: input should be 'neutral', 'calm'"),
        ("split: {name: ..}", "split.name: string should match pattern"),
        ("split: {name: a/b}", "split.name: string should match pattern"),
        ("augmentations: {pitch_semitones: [3, 1]}", "augmentations.pitch_semitones: the lower end 3 is above the upper end 1; got [3, 1]"),
        ("augmentations: {stretch_rate: [0, 1]}", "augmentations.stretch_rate: a rate must be above 0"),
        ("model: {features: [mel, mel]}", "model.features: one of mel, mel is listed twice"),
        ("project: {corpora: [tess, tess]}", "project.corpora: one of tess, tess is listed twice"),
        ("labels: {keep: [sad, sad]}", "labels.keep: one of sad, sad is listed twice"),
        ("labels: {keep: [sad]}", "labels.keep: tuple should have at least 2 items"),
        # contradictions between keys, on the line of the key that the message names
        (
            "train: {}\nmodel: {}\nfeatures:\n  types: [mel]",
            "model.features includes mfcc, chroma, which features.types does not compute (c.yaml, line 4)",
        ),
        ("features:\n  mel:\n    n_mels: 20", "features: mfcc.n_mfcc 40 exceeds mel.n_mels 20 (c.yaml, line 3)"),
        ("features:\n  hop_length: 4096", "features: hop_length 4096 exceeds n_fft 1024"),
        ("features:\n  mel: {fmax: 9000}", "features.mel.fmax 9000 Hz is above half of audio.sampling_rate (c.yaml, line 2)"),
        ("features:\n  mel: {fmin: 8000}", "features.mel.fmin 8000 Hz is not below half of audio.sampling_rate (c.yaml, line 2)"),
        ("features:\n  mel: {fmin: 50, fmax: 40}", "features.mel: fmin 50 Hz is not below fmax 40 Hz (c.yaml, line 2)"),
        ("labels: {merge: {calm: surprise}, keep: [sad, angry]}", "labels: calm is merged into surprise, which is not kept"),
        ("labels: {merge: {calm: neutral, neutral: sad}}", "labels: calm is merged into neutral, which is itself merged away"),
        ("split: {rule: explicit-speakers}", "split: val_speakers and test_speakers go with rule explicit-speakers"),
        ("split: {test_ids: [tess_OAF_back_fear]}", "split: val_ids and test_ids go with rule explicit-ids"),
        ("split: {rule: random}", "split: rule random cannot be speaker-disjoint"),
        (
            "split: {rule: explicit-speakers, val_speakers: [tess/OAF], test_speakers: [tess/OAF]}",
            "split: val_speakers and test_speakers share tess/OAF (c.yaml, line 1)",
        ),
        # the backbone, and a mixture of experts
        *((f"ssl: {{layers: {layers}}}", "ssl.layers: give all, one hidden state such as 9, or a list") for layers in NO_LAYERS),
        ("ssl: {revision: main}", "ssl.revision: string should match pattern '^[0-9a-f]{40}$'; got 'main'"),
        (f"ssl: {{revision: {'A' * 40}}}", "ssl.revision: string should match pattern"),
        ("ssl: {time_pool: 0}", "ssl.time_pool: input should be greater than or equal to 1; got 0"),
        ("ssl: {batch_seconds: 0}", "ssl.batch_seconds: input should be greater than 0; got 0"),
        ("ssl: {model_id: ''}", "ssl.model_id: string should have at least 1 character"),
        ("ssl: {dtype: bf16}", "ssl.dtype: input should be 'float16' or 'float32'; got 'bf16'"),
        ("ssl: {model: x}", "unknown key ssl.model (c.yaml, line 1): did you mean model_id?"),
        ("features: {types: [ssl, mel]}\nmodel:\n  features: [ssl, mel]", "model: features has ssl, which spectral_crnn does not take"),
        ("model: {name: ssl_spectral_moe, features: [ssl]}", "model.features includes ssl, which features.types does not compute"),
        ("features: {types: [ssl, ssl]}", "features.types: one of ssl, ssl is listed twice"),
        (MOE.format("aux_expert: ssl"), "model: ssl_spectral_moe.aux_expert ssl is not among model.features (c.yaml, line 4)"),
        (MOE.format("aux_expert: pitch"), "aux_expert: input should be 'ssl', 'mel', 'mfcc' or 'chroma'; got 'pitch' (c.yaml, line 4)"),
        (MOE.format("fusion: sum"), "fusion: input should be 'gate' or 'concat'; got 'sum'"),
        (MOE.format("gate_balance: -1"), "gate_balance: input should be greater than or equal to 0; got -1"),
        (MOE.format("ssl: {dim: 130}"), "model.ssl_spectral_moe.ssl: dim 130 is not a multiple of heads 4 (c.yaml, line 4)"),
        (MOE.format("spectral: {kernel: 4}"), "model.ssl_spectral_moe.spectral: kernel 4 is not odd (c.yaml, line 4)"),
        (MOE.format("spectral: {channels: []}"), "spectral.channels: tuple should have at least 1 item"),
        (
            MOE.format("spectral: {channels: [96, 90], layers: 1}"),
            "model.ssl_spectral_moe.spectral: the last of channels, 90, is not a multiple of heads 4",
        ),
        # what YAML itself can do wrong
        ("train: {epochs: 1, epochs: 2}", 'c.yaml, line 1: found duplicate key "epochs"'),
        ("train: {epochs: 1}\ntrain: {epochs: 2}", 'c.yaml, line 2: found duplicate key "train"'),
        ("train: {epochs: 1", "c.yaml, line 1: expected ',' or '}'"),
        ("\ttrain: 1", "c.yaml, line 1: found character"),
        ("train: {epochs: 1}\n---\ntrain: {epochs: 2}", "c.yaml, line 2: but found another document"),
        ("a: !!python/object:os.system x", "c.yaml, line 1: tags (tag:yaml.org,2002:python/object:os.system) are not used"),
        ("train: {epochs: !!int 3}", "c.yaml, line 1: tags (tag:yaml.org,2002:int) are not used"),
        ("train: !own {epochs: 3}", "c.yaml, line 1: tags (!own) are not used"),
        ("train: &a {epochs: 1}\nmodel: *a", "c.yaml, line 2: aliases are not used in configs"),
        ("train:\n  <<: {epochs: 1}", "c.yaml, line 2: merge keys (<<) are not used in configs"),
        ("%YAML 1.1\n---\naudio: {trim_silence: off}", "configs are YAML 1.2"),
        ("[" * 50 + "]" * 50, "c.yaml is nested deeper than 12 levels"),
        pytest.param("{a: " * 100_000, "c.yaml is nested deeper than 12 levels", id="100 000 levels"),
        ("- a", "c.yaml must contain sections, like `train:`, but is of type list"),
        ("train", "c.yaml must contain sections, like `train:`, but is of type str"),
        (b"train: {epochs: \xff}", "c.yaml cannot be read: 'utf-8' codec can't decode"),
        (b"train: \x00", "c.yaml is not valid YAML: unacceptable character"),
        pytest.param(b"#" * (MAX_BYTES + 1), f"c.yaml is larger than {MAX_BYTES} bytes", id="too large"),
        # extends
        ("extends: nope.yaml", "no config 'nope.yaml' in this folder, in ./configs or in the package"),
        ("extends: spectral_crn", "did you mean spectral_crnn.yaml?"),
        ("extends: [a]", "c.yaml: extends: ['a'] is not the name of a config"),
        ("extends: c.yaml", "no config 'c.yaml'"),
    ],
)
def test_a_bad_config_is_refused_with_its_place(write: Write, text: str | bytes, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(text))
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.exit_code == 2


def test_every_problem_of_a_config_is_told_at_once(write: Write) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write("train:\n  epochs: 0\n  batch_size: x\nseed: 3\n"))
    assert re.findall(r"line (\d)", str(caught.value)) == ["2", "3", "4"]


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("train: {learning_rate: 1e-3}", "train.learning_rate", 0.001),
        ("train: {learning_rate: 1}", "train.learning_rate", 1.0),
        ("split: {name: off}", "split.name", "off"),
        ("split: {name: '001'}", "split.name", "001"),
        ("split: {name: 2024-01-01}", "split.name", "2024-01-01"),
        ("audio: {trim_silence: false}", "audio.trim_silence", False),
        ("audio: {duration: null}", "audio.duration", None),
        ("project: {seed: 010}", "project.seed", 10),
        ("project: {raw_dir: ../Datensätze}", "project.raw_dir", "../Datensätze"),
        ("model: {features: [chroma, mel]}", "model.features", ("mel", "chroma")),
        ("features: {types: [chroma, mfcc, mel, ssl]}", "features.types", ("ssl", "mel", "mfcc", "chroma")),
        ("ssl: {layers: all}", "ssl.layers", "all"),
        ("ssl: {layers: 0}", "ssl.layers", (0,)),
        ("ssl: {layers: [9]}", "ssl.layers", (9,)),
        ("ssl: {layers: [9, 3, 12]}", "ssl.layers", (3, 9, 12)),
        (f"ssl: {{revision: {'0a' * 20}}}", "ssl.revision", "0a" * 20),
        (MOE.format("spectral: {channels: [96, 90], layers: 0}"), "model.ssl_spectral_moe.spectral.channels", (96, 90)),
        (MOE.format("aux_expert: mel"), "model.ssl_spectral_moe.aux_expert", "mel"),
        ("model: {ssl_spectral_moe: {aux_expert: ssl}}", "model.name", "spectral_crnn"),
        ("labels: {keep: [sad, neutral]}", "labels.keep", ("neutral", "sad")),
        ("labels: {merge: {calm: neutral}}", "labels.merge", {"calm": "neutral"}),
        ("augmentations: {pitch_semitones: [-6, 6]}", "augmentations.pitch_semitones", (-6.0, 6.0)),
        ("model: {spectral_crnn: {pools: [[2, 1], [4, 2]]}}", "model.spectral_crnn.pools", ((2, 1), (4, 2))),
        (b"\xef\xbb\xbftrain: {epochs: 3}\r\n", "train.epochs", 3),
    ],
)
def test_values_are_read_as_yaml_1_2_means_them(write: Write, text: str | bytes, key: str, value: object) -> None:
    assert look_up(load_config(write(text)), key) == value


def test_one_hidden_state_and_a_list_of_it_are_the_same_config(write: Write) -> None:
    one = load_config(write("ssl: {layers: 9}"))
    assert one == load_config(write("ssl: {layers: [9]}")) == load_config(write(""), ["ssl.layers=9"])
    assert ExperimentConfig.model_validate(one.model_dump(mode="json")) == one


def look_up(config: object, key: str) -> object:
    for part in key.split("."):
        config = getattr(config, part)
    return config


def test_a_file_that_extends_another_states_only_its_differences(write: Write) -> None:
    write("train: {epochs: 7, batch_size: 16}\nlabels: {merge: {calm: neutral}}\n", "base.yaml")
    config = load_config(write("extends: base.yaml\ntrain: {batch_size: 8}\n"))
    assert (config.train.epochs, config.train.batch_size) == (7, 8)
    assert config.labels.merge == {"calm": "neutral"}


def test_an_empty_mapping_empties_what_the_base_had(write: Write) -> None:
    write("labels: {merge: {calm: neutral}}\n", "base.yaml")
    assert load_config(write("extends: base.yaml\nlabels: {merge: {}}\n")).labels.merge == {}


def test_an_error_of_the_base_names_the_base(write: Write) -> None:
    write("\ntrain: {epoch: 7}\n", "base.yaml")
    with pytest.raises(ConfigError, match=r"unknown key train.epoch \(base.yaml, line 2\)"):
        load_config(write("extends: base.yaml\n"))


def test_a_base_stands_beside_the_file_that_extends_it(write: Write) -> None:
    write("train: {epochs: 7}", "elsewhere/base.yaml")
    write("train: {epochs: 9}", "base.yaml")
    assert load_config(write("extends: base", "elsewhere/c.yaml")).train.epochs == 7


def test_a_local_file_may_extend_the_shipped_one_of_its_own_name(write: Write) -> None:
    write("extends: spectral_crnn.yaml\ntrain: {batch_size: 8}", "configs/spectral_crnn.yaml")
    config = load_config("spectral_crnn")
    assert config.train.batch_size == 8
    assert config.train.epochs == load_config(SHIPPED[0].parent / "spectral_crnn.yaml").train.epochs


def test_a_circle_of_extends_is_refused(write: Write) -> None:
    write("extends: b.yaml", "a.yaml")
    write("extends: a.yaml", "b.yaml")
    with pytest.raises(ConfigError, match="extends more than 5 files in a row, or itself"):
        load_config("a.yaml")


@pytest.mark.parametrize("name", ["", ".", "/", "..", "a\0b", pytest.param("x" * 5000, id="5000 characters"), "\udcff", "configs"])
def test_a_name_of_no_config_is_refused_whatever_it_is(write: Write, name: str) -> None:
    with pytest.raises(ConfigError):
        load_config(name)


@pytest.mark.parametrize(
    ("settings", "key", "value"),
    [
        (["train.epochs=3"], "train.epochs", 3),
        (["train.epochs=3", "train.epochs=4"], "train.epochs", 4),
        ([" train.epochs = 3"], "train.epochs", 3),
        (["train={epochs: 3}"], "train.epochs", 3),
        (["train={epochs: 3}"], "train.batch_size", 16),
        (["train.learning_rate=1e-3"], "train.learning_rate", 0.001),
        (["model.features=[mfcc, mel]"], "model.features", ("mel", "mfcc")),
        (["audio.duration=null"], "audio.duration", None),
        (["labels.merge.calm=neutral"], "labels.merge", {"calm": "neutral"}),
        (["project.raw_dir=a=b"], "project.raw_dir", "a=b"),
        (["split.name=off"], "split.name", "off"),
        (['split.name="001"'], "split.name", "001"),
        (["split.name=2024"], "split.name", "2024"),
        (["split.name=001"], "split.name", "001"),
        (["protocol.fold=1"], "protocol.fold", "1"),
        (["project.runs_dir=1e3"], "project.runs_dir", "1e3"),
    ],
)
def test_a_setting_stands_over_the_file(write: Write, settings: list[str], key: str, value: object) -> None:
    assert look_up(load_config(write("train: {batch_size: 16}"), settings), key) == value


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.epochs", "--set 'train.epochs': expected key.sub=value, like train.learning_rate=1e-3"),
        ("=3", "expected key.sub=value"),
        ("train.=3", "expected key.sub=value"),
        ("train..epochs=3", "expected key.sub=value"),
        ("train.epochs=", "train.epochs: input should be a valid integer; got None (--set train.epochs=)"),
        ("train.epochs=0", "train.epochs: input should be greater than or equal to 1; got 0 (--set train.epochs=0)"),
        ("train.epoch=3", "unknown key train.epoch (--set train.epoch=3): did you mean epochs?"),
        ("train.epochs.x=3", "train.epochs: input should be a valid integer (--set train.epochs.x=3)"),
        ("model.features.0=mel", "model.features: expected a list, like [first, second] (--set model.features.0=mel)"),
        ("train=[1", "--set 'train=[1': '[1' is not a YAML value"),
        ("train=*a", "aliases are not used"),
        ("train=!x y", "tags (!x) are not used"),
        ("train.epochs=" + "[" * 100, "nested deeper than 12 levels"),
        ("a." * 3000 + "a=1", "nested deeper than 12 levels"),
        ("labels.merge={calm: sad, calm: fear}", "is not a YAML value"),
        # what is easily typed, with what was meant
        ("epochs=3", "unknown key epochs (--set epochs=3): did you mean train.epochs?"),
        ("epoch=3", "unknown key epoch (--set epoch=3): did you mean train.epochs?"),
        ("corpora=[ravdess]", "unknown key corpora (--set corpora=[ravdess]): did you mean project.corpora or split.corpora?"),
        ("train.gru_dim=3", "unknown key train.gru_dim (--set train.gru_dim=3): did you mean model.spectral_crnn.gru_dim?"),
        ("labels.keep=happy,sad", "labels.keep: expected a list, like [happy, sad]; got 'happy,sad' (--set labels.keep=happy,sad)"),
        ("labels.merge=calm", "labels.merge: expected pairs, like {calm: neutral}; got 'calm' (--set labels.merge=calm)"),
        ("split.val_speakers=[21]", "split.val_speakers.0: a speaker is written as corpus/name, like ravdess/21; got 21 (--set split.val"),
        (
            "split.test_speakers=['21']",
            "split.test_speakers.0: a speaker is written as corpus/name, like ravdess/21; got '21' (--set split.t",
        ),
        (
            "features.types=[mel]",
            "model.features includes mfcc, chroma, which features.types does not compute (--set features.types=[mel])",
        ),
    ],
)
def test_a_bad_setting_is_refused_and_shown(write: Write, setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(""), [setting])
    assert message in str(caught.value)


FILE = "labels:\n  keep: [happy, sad]\nsplit:\n  rule: explicit-speakers\n  val_speakers: [tess/OAF]\n  test_speakers: [tess/YAF]\n"


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("labels.keep=[sad, happyy]", "labels.keep.1: input should be 'neutral'"),
        ("labels={keep: [sad, happyy]}", "labels.keep.1: input should be 'neutral'"),
        ("split.test_speakers=[tess/OAF]", "split: val_speakers and test_speakers share tess/OAF"),
        ("split={test_speakers: [tess/OAF]}", "split: val_speakers and test_speakers share tess/OAF"),
    ],
)
def test_a_problem_of_a_setting_is_not_said_of_the_file_below_it(write: Write, setting: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(FILE), [setting])
    assert str(caught.value).startswith(problem)
    assert str(caught.value).endswith(f"(--set {setting})")


def test_what_a_setting_leaves_alone_is_of_the_file(write: Write) -> None:
    with pytest.raises(ConfigError, match=r"^labels.keep.0: .*c.yaml, line 1\)$"):
        load_config(write("labels: {keep: [joy, sad]}"), ["labels={merge: {calm: neutral}}"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nope/my.yaml", "there is no file nope/my.yaml"),
        ("./c.yml", "there is no file ./c.yml: did you mean c.yaml?"),
        (
            "spectral_crn.yaml",
            "there is no config 'spectral_crn.yaml' in this folder, in ./configs or in the package: did you mean spectral_crnn.yaml?",
        ),
    ],
)
def test_a_config_that_does_not_exist_is_compared_with_its_neighbours(write: Write, name: str, message: str) -> None:
    write("")
    with pytest.raises(ConfigError) as caught:
        load_config(name)
    assert str(caught.value).startswith(message)
    assert name != "nope/my.yaml" or str(caught.value) == message


def test_a_setting_cannot_go_through_a_value_that_has_no_keys(write: Write) -> None:
    with pytest.raises(ConfigError, match="features has no keys below it"):
        load_config(write("model: {features: [mel]}"), ["model.features.x=4"])


def test_configs_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        AudioConfig().sampling_rate = 8_000


SETTINGS = ["labels.merge.calm=neutral", "audio.duration=null", "ssl.layers=[4, 2]", "model.ssl_spectral_moe.aux_expert=null"]


@pytest.mark.parametrize("settings", [[], SETTINGS])
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_config_comes_back_from_its_json(path: Path, settings: list[str]) -> None:
    config = load_config(path, settings)
    assert ExperimentConfig.model_validate_json(config.model_dump_json()) == config
    assert ExperimentConfig.model_validate(config.model_dump(mode="json")) == config


EXPERTS = {
    "ssl_spectral_moe": ("ssl", "mel", "mfcc", "chroma"),
    "moe_concat": ("ssl", "mel", "mfcc", "chroma"),
    "moe_single_layer": ("ssl", "mel", "mfcc", "chroma"),
    "moe_ssl_only": ("ssl",),
    "moe_no_ssl": ("mel", "mfcc", "chroma"),
    "moe_no_mel": ("ssl", "mfcc", "chroma"),
    "moe_no_mfcc": ("ssl", "mel", "chroma"),
    "moe_no_chroma": ("ssl", "mel", "mfcc"),
}


def test_every_ablation_says_what_its_name_says() -> None:
    assert {path.stem for path in SHIPPED} >= set(EXPERTS)
    configs = {name: load_config(name) for name in EXPERTS}
    assert {name: config.model.features for name, config in configs.items()} == EXPERTS
    assert {config.model.name for config in configs.values()} == {"ssl_spectral_moe"}
    assert {name for name, config in configs.items() if config.model.ssl_spectral_moe.fusion == "concat"} == {"moe_concat"}
    assert {name for name, config in configs.items() if config.ssl.layers != "all"} == {"moe_single_layer"}


def test_the_schema_of_a_config_names_the_features() -> None:
    """For editors that complete a config."""
    types = ExperimentConfig.model_json_schema()["$defs"]["FeaturesConfig"]["properties"]["types"]
    assert types["items"]["enum"] == ["ssl", "mel", "mfcc", "chroma"]
