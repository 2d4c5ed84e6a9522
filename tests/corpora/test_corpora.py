"""What file names say, in every layout, and the facts of each corpus."""

from pathlib import PurePath

import pytest

from ser.config import ProjectConfig
from ser.corpora.base import Corpus
from ser.corpora.registry import CORPORA
from ser.emotions import EMOTIONS, SHARED_EMOTIONS
from ser.errors import AudioError

GOOD_NAMES = [
    ("crema", "AudioWAV/1001_DFA_ANG_XX.wav", "crema_1001_DFA_ANG_XX", "crema/1001", "male", "angry", "anger", "", "DFA"),
    ("crema", "audiowav/1002_ieo_hap_lo.WAV", "crema_1002_IEO_HAP_LO", "crema/1002", "female", "happy", "happy", "low", "IEO"),
    ("crema", "1091_WSI_NEU_XX.mp3", "crema_1091_WSI_NEU_XX", "crema/1091", "female", "neutral", "neutral", "", "WSI"),
    (
        "ravdess",
        "Actor_12/03-01-06-01-02-01-12.wav",
        "ravdess_03-01-06-01-02-01-12",
        "ravdess/12",
        "female",
        "fear",
        "fearful",
        "normal",
        "02",
    ),
    (
        "ravdess",
        "A/ACTOR_07/03-01-02-02-01-02-07.WAV",
        "ravdess_03-01-02-02-01-02-07",
        "ravdess/07",
        "male",
        "calm",
        "calm",
        "strong",
        "01",
    ),
    (
        "ravdess",
        "03-01-08-01-01-01-24.wav",
        "ravdess_03-01-08-01-01-01-24",
        "ravdess/24",
        "female",
        "surprise",
        "surprised",
        "normal",
        "01",
    ),
    ("savee", "ALL/DC_a01.wav", "savee_DC_a01", "savee/DC", "male", "angry", "anger", "", "a01"),
    ("savee", "AudioData/AudioData/dc/A01.wav", "savee_DC_a01", "savee/DC", "male", "angry", "anger", "", "a01"),
    ("savee", "ALL/kl_SU15.wav", "savee_KL_su15", "savee/KL", "male", "surprise", "surprise", "", "su15"),
    ("savee", "AudioData/JK/sa02.wav", "savee_JK_sa02", "savee/JK", "male", "sad", "sadness", "", "sa02"),
    ("tess", "OAF_disgust/OAF_pad_disgust.wav", "tess_OAF_pad_disgust", "tess/OAF", "female", "disgust", "disgust", "", "pad"),
    ("tess", "OAF_neutral/OA_bite_neutral.wav", "tess_OAF_bite_neutral", "tess/OAF", "female", "neutral", "neutral", "", "bite"),
    (
        "tess",
        "x/YAF_pleasant_surprised/yaf_Back_PS.Wav",
        "tess_YAF_back_ps",
        "tess/YAF",
        "female",
        "surprise",
        "pleasant surprise",
        "",
        "back",
    ),
]

BAD_NAMES = [
    ("crema", "AudioWAV/1001_DFA_ANG.wav", "bad-name"),
    ("crema", "AudioWAV/1001_DFA_CAL_XX.wav", "bad-name"),
    ("crema", "AudioWAV/1092_DFA_ANG_XX.wav", "bad-name"),
    ("crema", "AudioWAV/1001_DFA_ANG_XX copy.wav", "bad-name"),
    ("ravdess", "Actor_12/03-01-06-01-02-01.wav", "bad-name"),
    ("ravdess", "Actor_12/03-01-09-01-02-01-12.wav", "bad-name"),
    ("ravdess", "Actor_25/03-01-06-01-02-01-25.wav", "bad-name"),
    ("ravdess", "Actor_12/03-01-01-02-02-01-12.wav", "bad-name"),
    ("ravdess", "Actor_12/٠٣-٠١-٠٦-٠١-٠٢-٠١-١٢.wav", "bad-name"),
    ("ravdess", "Actor_12/01-01-06-01-02-01-12.wav", "wrong-modality"),
    ("ravdess", "Actor_12/03-02-06-01-02-01-12.wav", "wrong-channel"),
    ("ravdess", "Actor_11/03-01-06-01-02-01-12.wav", "speaker-mismatch"),
    ("savee", "a01.wav", "bad-name"),
    ("savee", "ALL/DC_x01.wav", "bad-name"),
    ("savee", "ALL/DC_ſa01.wav", "bad-name"),
    ("savee", "AudioData/JE/DC_a01.wav", "speaker-mismatch"),
    ("tess", "OAF_Fear/OAF_back_scared.wav", "bad-name"),
    ("tess", "OAF_Fear/XAF_back_fear.wav", "bad-name"),
    ("tess", "OAF_Fear/YAF_back_fear.wav", "speaker-mismatch"),
]


@pytest.mark.parametrize("case", GOOD_NAMES, ids=[case[1] for case in GOOD_NAMES])
def test_a_path_tells_the_clip(case: tuple[str, ...]) -> None:
    corpus, path, *expected = case
    parsed = CORPORA[corpus].parse(PurePath(path))
    told = [parsed.id, parsed.speaker, parsed.gender, parsed.emotion, parsed.source_label, parsed.intensity, parsed.statement]
    assert told == expected


@pytest.mark.parametrize(("corpus", "path", "reason"), BAD_NAMES)
def test_a_name_that_tells_something_else_has_a_reason(corpus: str, path: str, reason: str) -> None:
    with pytest.raises(AudioError) as caught:
        CORPORA[corpus].parse(PurePath(path))
    assert caught.value.reason == reason


@pytest.mark.parametrize("corpus", CORPORA.values(), ids=list(CORPORA))
def test_the_facts_of_a_corpus_agree_with_one_another(corpus: Corpus) -> None:
    assert sum(label.num_files for label in corpus.labels.values()) == corpus.num_files
    assert 0 <= corpus.num_files - corpus.num_clips <= 7
    assert {label.emotion for label in corpus.labels.values()} <= set(EMOTIONS)
    assert {label.emotion for label in corpus.labels.values()} >= set(SHARED_EMOTIONS)
    parsed = corpus.parse(PurePath(corpus.example))
    assert parsed.id.startswith(f"{corpus.name}_")
    assert parsed.speaker.removeprefix(f"{corpus.name}/") in corpus.speakers
    assert all((corpus.title, corpus.licence, corpus.citation, corpus.url.startswith("http"), corpus.how_to_get, corpus.example_meaning))


def test_the_config_knows_the_corpora_of_the_registry() -> None:
    assert ProjectConfig().corpora == tuple(CORPORA)


@pytest.mark.parametrize(("corpus", "men", "women"), [("crema", 48, 43), ("ravdess", 12, 12), ("savee", 4, 0), ("tess", 0, 2)])
def test_speakers_are_counted_by_sex(corpus: str, men: int, women: int) -> None:
    genders = [speaker.gender for speaker in CORPORA[corpus].speakers.values()]
    assert (genders.count("male"), genders.count("female")) == (men, women)


def test_ages_are_those_of_the_demographics_table() -> None:
    speakers = CORPORA["crema"].speakers
    assert [(speakers[name].gender, speakers[name].age) for name in ("1001", "1034", "1091")] == [
        ("male", 51),
        ("male", 74),
        ("female", 29),
    ]
    assert CORPORA["tess"].speakers["OAF"].age == 64
