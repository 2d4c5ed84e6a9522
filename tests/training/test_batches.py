"""Batches hold the right frames for the right label, whatever the order, the lengths and the store that they come from."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ser.config import TrainConfig
from ser.errors import ArtefactError, DataError
from ser.families import SSL
from ser.features.normaliser import MIN_DEVIATION, Normaliser, fit_normalisers
from ser.features.source import FeatureSource, Stores
from ser.models.base import FRAME_STEP
from ser.training.batches import Batch, Sampler, SpeechDataset, draw, length_buckets, padding_share
from toys import DIMS, FRAME_RATE, SHAPES, SSL_DIMS, SSL_LAYERS, SSL_RATE, entry, identities, identity, source_of, ssl_spec, write_store
from toys import spectral_spec as spec

COLUMNS = sum(DIMS.values())
LENGTHS = [3, 17, 1, 8, 8, 30, 2]


def signed(number: int, frames: int) -> NDArray[np.float32]:
    """Rows in which every value tells its clip, its frame and its column: 1000 number + frame + column / 100."""
    frame, column = np.mgrid[:frames, :COLUMNS]
    return np.asarray(1000 * (number + 1) + frame + column / 100, np.float32)


def noise(frames: int, seed: int) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    return np.asarray(
        generator.normal(generator.uniform(-50, 50, COLUMNS), generator.uniform(0.1, 20, COLUMNS), (frames, COLUMNS)), np.float32
    )


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    """clip0, clip1, ... of LENGTHS frames; the label of a clip is its number."""
    return Stores([write_store(tmp_path / "store", {f"clip{i}": signed(i, frames) for i, frames in enumerate(LENGTHS)})])


def dataset(
    stores: Stores, numbers: list[int], normaliser: Normaliser | None = None, names: tuple[str, ...] = tuple(DIMS)
) -> SpeechDataset:
    """Of one extractor."""
    entries = [entry(f"clip{i}", label=i) for i in numbers]
    return SpeechDataset(FeatureSource({"spectral": stores}), entries, names, {"spectral": normaliser or identity()})


# normaliser


@given(lengths=st.lists(st.integers(1, 40), min_size=2, max_size=6), dtype=st.sampled_from(["float32", "float16"]))
@settings(max_examples=15, deadline=None)
def test_the_normaliser_is_mean_and_deviation_over_the_frames_of_the_ids_given(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], dtype: str
) -> None:
    clips = {f"clip{i}": noise(frames, i).astype(dtype) for i, frames in enumerate(lengths)}
    source = Stores([write_store(tmp_path_factory.mktemp("store"), clips, spec(dtype=dtype))])
    chosen = list(clips)[1:]
    fitted = Normaliser.fit(source, iter(chosen))
    frames = np.concatenate([clips[clip_id] for clip_id in chosen]).astype(np.float64)
    np.testing.assert_allclose(fitted.mean, frames.mean(axis=0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(fitted.deviation, np.maximum(frames.std(axis=0), MIN_DEVIATION), rtol=1e-4)
    assert fitted.mean.dtype == fitted.deviation.dtype == np.float32


def test_a_row_that_never_varies_becomes_zero_and_never_infinite(tmp_path: Path) -> None:
    rows = noise(20, 0)
    rows[:, 4] = -100.0
    source = Stores([write_store(tmp_path, {"clip0": rows})])
    batch = dataset(source, [0], Normaliser.fit(source, ["clip0"])).batch([0])
    assert not batch.features["mel"][0, 4].any()
    assert all(x.isfinite().all() for x in batch.features.values())


def test_training_frames_have_mean_zero_and_deviation_one_once_normalised(tmp_path: Path) -> None:
    clips = {f"clip{i}": noise(30, 5) + noise(30, i) for i in range(4)}
    source = Stores([write_store(tmp_path, clips)])
    batch = dataset(source, [0, 1, 2, 3], Normaliser.fit(source, clips)).batch([0, 1, 2, 3])
    real = torch.arange(batch.features["mel"].shape[-1]) < batch.lengths["mel"][:, None]
    for x in batch.features.values():
        rows = x.transpose(0, 1)[:, real]
        torch.testing.assert_close(rows.mean(1), torch.zeros(len(rows)), atol=1e-4, rtol=0)
        torch.testing.assert_close(rows.std(1, correction=0), torch.ones(len(rows)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_found_before_it_spreads(tmp_path: Path, value: float) -> None:
    clips = {"clip0": noise(5, 0), "clip1": noise(5, 1)}
    clips["clip1"][2, 3] = value
    with pytest.raises(ArtefactError, match=r"features of clip1 are not finite.*--repair"):
        Normaliser.fit(Stores([write_store(tmp_path, clips)]), clips)


# batches


@given(numbers=st.permutations(range(len(LENGTHS))), data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_batch_holds_the_frames_of_each_id_beside_its_label(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], data: st.DataObject
) -> None:
    store = write_store(tmp_path_factory.mktemp("store"), {f"clip{i}": signed(i, frames) for i, frames in enumerate(LENGTHS)})
    indices = data.draw(st.lists(st.integers(0, len(LENGTHS) - 1), min_size=1, max_size=9))
    batch = dataset(Stores([store]), numbers).batch(indices)
    assert batch.ids == tuple(f"clip{numbers[index]}" for index in indices)
    assert batch.label.tolist() == [numbers[index] for index in indices]
    for row, label in enumerate(batch.label.tolist()):
        expected = signed(label, LENGTHS[label])
        for name, (first, last) in store.features.items():
            assert batch.lengths[name][row] == LENGTHS[label]
            frames = batch.features[name][row].T.numpy()
            assert np.array_equal(frames[: LENGTHS[label]], expected[:, first:last])
            assert not frames[LENGTHS[label] :].any()


def test_padding_is_zero_after_normalisation(stores: Stores) -> None:
    normaliser = Normaliser(np.full(COLUMNS, 5.0, np.float32), np.full(COLUMNS, 2.0, np.float32))
    batch = dataset(stores, [0, 1], normaliser).batch([0, 1])
    for name, (first, last) in stores.features.items():
        assert not batch.features[name][0, :, LENGTHS[0] :].any()
        assert np.array_equal(batch.features[name][0, :, : LENGTHS[0]].T.numpy(), (signed(0, LENGTHS[0])[:, first:last] - 5) / 2)


@pytest.mark.parametrize("names", [("mel",), ("chroma",), ("mel", "chroma"), ("mfcc", "chroma")])
def test_a_batch_has_the_features_that_were_asked_for(stores: Stores, names: tuple[str, ...]) -> None:
    batch = dataset(stores, [0, 1, 2], names=names).batch([2, 0])
    assert list(batch.features) == list(batch.lengths) == list(names)
    assert {name: x.shape for name, x in batch.features.items()} == {name: (2, DIMS[name], FRAME_STEP) for name in names}
    assert all(x.dtype == torch.float32 for x in batch.features.values())


def test_evaluation_sees_every_utterance_once_from_short_to_long(stores: Stores) -> None:
    data = dataset(stores, list(range(len(LENGTHS))))
    seen = [(positions, batch) for positions, batch in data.in_order_of_length(batch_size=3)]
    assert sorted(np.concatenate([positions for positions, _ in seen]).tolist()) == list(range(len(LENGTHS)))
    assert [len(positions) for positions, _ in seen] == [3, 3, 1]
    assert [length for _, batch in seen for length in batch.lengths["mel"].tolist()] == sorted(LENGTHS)
    for positions, batch in seen:
        assert batch.label.tolist() == positions.tolist()


def test_a_half_precision_store_gives_single_precision_batches(tmp_path: Path) -> None:
    rows = noise(12, 0)
    source = Stores([write_store(tmp_path, {"clip0": rows}, spec(dtype="float16"))])
    batch = dataset(source, [0]).batch([0])
    assert batch.features["mel"].dtype == torch.float32
    np.testing.assert_allclose(batch.features["mel"][0, :, :12].T.numpy(), rows[:, : DIMS["mel"]], rtol=1e-3)


def test_a_batch_moves_as_a_whole(stores: Stores) -> None:
    batch = dataset(stores, [0, 1]).batch([0, 1]).to(torch.device("meta"))
    tensors = [*batch.features.values(), *batch.lengths.values(), batch.label]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert batch.ids == ("clip0", "clip1")


# several stores


def test_copies_are_read_from_their_own_store(stores: Stores, tmp_path: Path) -> None:
    copies = write_store(tmp_path / "copies", {"clip0~1": signed(50, 5), "clip1~1": signed(51, 6)})
    both = Stores([*stores.stores, copies])
    assert np.array_equal(both.rows("clip0"), signed(0, LENGTHS[0]))
    assert np.array_equal(both.rows("clip0~1"), signed(50, 5))
    assert (both.num_frames("clip1"), both.num_frames("clip1~1")) == (LENGTHS[1], 6)
    assert both.audio_hash("clip1~1") == "hash of clip1~1"
    assert ["clip0~1" in both, "clip0~1" in stores, "clip9" in both] == [True, False, False]
    assert (both.columns, both.frame_rate, both.layers) == (COLUMNS, FRAME_RATE, 1)
    source = FeatureSource({"spectral": both})
    assert source.fingerprints == {"spectral": [stores.stores[0].spec.fingerprint, copies.spec.fingerprint]}
    assert source.stores == [*stores.stores, copies]
    source.verify()


def test_a_missing_utterance_is_an_error(stores: Stores) -> None:
    for use in (
        stores.rows,
        stores.num_frames,
        stores.audio_hash,
        lambda missing: dataset(stores, [99]),
        lambda missing: Normaliser.fit(stores, [missing]),
    ):
        with pytest.raises(DataError, match="clip99 is not in the feature store"):
            use("clip99")


# several extractors

SSL_LENGTHS = [2, 14, 1, 7, 6, 24, 3]
"""Not quite in proportion to LENGTHS: a model of its own decides how many frames a clip has."""


def numbered(number: int, frames: int, columns: int, extractor: int) -> NDArray[np.float32]:
    """Rows that tell the clip, the frame, and the extractor in all columns beyond; all of them exact in half precision."""
    rows = np.full((frames, columns), extractor, np.float32)
    rows[:, 0], rows[:, 1] = number, np.arange(frames)
    return rows


def two_extractors(folder: Path, dtype: str = "float32") -> FeatureSource:
    lengths = {"ssl": SSL_LENGTHS, "spectral": LENGTHS}
    specs = {"ssl": ssl_spec(dtype), "spectral": spec(dtype=dtype)}
    return source_of(
        *(
            write_store(
                folder / name, {f"clip{i}": numbered(i, frames, specs[name].columns, kind) for i, frames in enumerate(sizes)}, specs[name]
            )
            for kind, (name, sizes) in enumerate(lengths.items(), start=1)
        )
    )


def assert_rows_belong_together(batch: Batch) -> None:
    """Each row of each feature, its lengths, its label and its id tell of one clip."""
    for row, (name, label) in enumerate(zip(batch.ids, batch.label.tolist(), strict=True)):
        number = int(name.removeprefix("clip"))
        assert label == number
        for extractor, feature, length in ((1, SSL, SSL_LENGTHS[number]), (2, "mel", LENGTHS[number])):
            assert batch.lengths[feature][row] == length
            expected = numbered(number, length, SHAPES[feature].rows, extractor)
            assert np.array_equal(batch.features[feature][row, :, :length].T.numpy(), expected)
            assert not batch.features[feature][row, :, length:].any()


@given(
    numbers=st.permutations(range(len(LENGTHS))),
    batch_size=st.integers(1, 5),
    bucket_clips=st.integers(1, 9),
    seed=st.integers(0, 99),
    dtype=st.sampled_from(["float32", "float16"]),
)
@settings(max_examples=25, deadline=None)
def test_the_frames_of_all_extractors_belong_to_one_clip_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], batch_size: int, bucket_clips: int, seed: int, dtype: str
) -> None:
    source = two_extractors(tmp_path_factory.mktemp("stores"), dtype)
    entries = [entry(f"clip{i}", label=i) for i in numbers]
    data = SpeechDataset(source, entries, ("ssl", "mel"), identities(source))
    generator = np.random.default_rng(seed)
    batches = length_buckets(generator.permutation(len(data)), data.lengths, batch_size, bucket_clips, generator)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(LENGTHS)))
    for batch in [data.batch(indices) for indices in batches] + [batch for _, batch in data.in_order_of_length(batch_size)]:
        assert_rows_belong_together(batch)


def test_each_extractor_is_normalised_by_its_own_statistic(tmp_path: Path) -> None:
    ids = [f"clip{i}" for i in range(4)]
    clips = {
        "ssl": {clip: noise(20, i)[:, : SSL_DIMS[SSL]] for i, clip in enumerate(ids)},
        "spectral": {clip: 100 + noise(30, i + 4) for i, clip in enumerate(ids)},
    }
    source = source_of(
        write_store(tmp_path / "ssl", clips["ssl"], ssl_spec("float32")), write_store(tmp_path / "spectral", clips["spectral"])
    )
    normalisers = fit_normalisers(source, ids[:3])
    batch = SpeechDataset(source, [entry(clip) for clip in ids], (SSL, "mfcc"), normalisers).batch([3, 0])
    for extractor, feature in (("ssl", SSL), ("spectral", "mfcc")):
        first, last = source.groups[extractor].features[feature]
        frames = np.concatenate([clips[extractor][clip] for clip in ids[:3]])[:, first:last]
        for row, clip in enumerate((ids[3], ids[0])):
            rows = clips[extractor][clip][:, first:last]
            found = batch.features[feature][row, :, : len(rows)].T.numpy()
            np.testing.assert_allclose(found, (rows - frames.mean(axis=0)) / frames.std(axis=0), rtol=1e-3, atol=1e-3)


def test_a_source_tells_the_shape_of_every_feature(tmp_path: Path) -> None:
    source = two_extractors(tmp_path)
    assert source.shapes == SHAPES
    assert list(source.shapes) == ["ssl", "mel", "mfcc", "chroma"]
    assert (SHAPES[SSL].layers, SHAPES[SSL].frame_rate, SHAPES["mel"].layers) == (len(SSL_LAYERS), SSL_RATE, 1)
    source.verify()


@pytest.mark.parametrize("names", [(SSL,), ("mel", "chroma"), (SSL, "chroma"), (SSL, "mel", "mfcc", "chroma")])
def test_a_batch_holds_the_features_of_a_model_in_its_order_and_reads_no_other_extractor(tmp_path: Path, names: tuple[str, ...]) -> None:
    source = two_extractors(tmp_path)
    data = SpeechDataset(source, [entry(f"clip{i}", label=i) for i in range(3)], names, identities(source))
    batch = data.batch([1, 2])
    assert list(batch.features) == list(batch.lengths) == list(names)
    assert {name: x.shape[:2] for name, x in batch.features.items()} == {name: (2, SHAPES[name].rows) for name in names}
    assert len(data.groups) == len({name == SSL for name in names})


def test_an_utterance_that_one_extractor_lacks_or_has_of_other_audio_is_missing(tmp_path: Path) -> None:
    hashes = {clip: f"hash of {clip}" for clip in ("clip0", "clip1", "clip2")}
    of_ssl = {clip: numbered(0, 3, SSL_DIMS[SSL], 1) for clip in ("clip0", "clip2")}
    of_spectral = {clip: numbered(0, 3, COLUMNS, 2) for clip in hashes}
    source = source_of(write_store(tmp_path / "ssl", of_ssl, ssl_spec()), write_store(tmp_path / "spectral", of_spectral))
    assert source.missing(hashes) == ["clip1"]
    assert source.missing({"clip0": "hash of clip0"}) == []
    assert source.missing({**hashes, "clip2": "hash of other audio"}) == ["clip1", "clip2"]
    with pytest.raises(DataError, match="clip1 is not in the feature store"):
        SpeechDataset(source, [entry("clip1")], (SSL, "mel"), identities(source))


def test_a_flipped_bit_of_any_extractor_is_found(tmp_path: Path) -> None:
    for name in ("ssl", "spectral"):
        source = two_extractors(tmp_path / name)
        source.verify()
        path = sorted((tmp_path / name / name).glob("*.npy"))[0]
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        with pytest.raises(ArtefactError, match=f"{name} is corrupted"):
            source.verify()


# length buckets


@given(
    count=st.integers(1, 200),
    batch_size=st.integers(1, 40),
    bucket_clips=st.integers(1, 90),
    seed=st.integers(0, 9),
)
@settings(max_examples=80, deadline=None)
def test_buckets_hold_every_position_once_in_batches_of_the_size_asked_for(
    count: int, batch_size: int, bucket_clips: int, seed: int
) -> None:
    lengths = np.random.default_rng(seed).integers(1, 300, count)
    order = np.random.default_rng(seed + 1).permutation(count)
    batches = length_buckets(order, lengths, batch_size, bucket_clips, np.random.default_rng(seed))
    sizes = Counter(len(batch) for batch in batches)
    assert sorted(np.concatenate(batches).tolist()) == list(range(count))
    assert max(sizes) <= batch_size + 1
    assert sizes.total() - sizes[batch_size] <= 1
    assert batch_size == 1 or count == 1 or 1 not in sizes


def test_a_last_batch_of_one_joins_its_neighbour() -> None:
    batches = length_buckets(np.arange(9), np.arange(9), 4, 100, np.random.default_rng(0))
    assert sorted(map(len, batches)) == [4, 5]


def test_buckets_depend_on_the_generator_alone() -> None:
    lengths = np.random.default_rng(0).integers(1, 300, 100)
    first, again, other = (length_buckets(np.arange(100), lengths, 8, 32, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert [batch.tolist() for batch in first] == [batch.tolist() for batch in again]
    assert [batch.tolist() for batch in first] != [batch.tolist() for batch in other]


def test_batches_of_all_lengths_come_in_random_order() -> None:
    lengths = np.arange(1000)
    longest = [int(lengths[batch].max()) for batch in length_buckets(np.arange(1000), lengths, 10, 1000, np.random.default_rng(0))]
    assert longest != sorted(longest)
    assert sorted(longest) == list(range(9, 1000, 10))


def test_an_order_with_repeats_keeps_them() -> None:
    order = np.array([3, 3, 0, 3])
    batches = length_buckets(order, np.array([5, 6, 7, 8]), 2, 4, np.random.default_rng(0))
    assert sorted(np.concatenate(batches).tolist()) == [0, 3, 3, 3]


@pytest.mark.parametrize("seed", range(3))
def test_buckets_leave_at_most_eight_per_cent_of_padding(seed: int) -> None:
    """7000 clips of lengths like those of the four corpora: around 140 frames, from 60 to 313."""
    generator = np.random.default_rng(seed)
    lengths = np.clip(generator.lognormal(np.log(140), 0.3, 7000), 60, 313).astype(np.int64)
    order = generator.permutation(7000)
    assert padding_share(length_buckets(order, lengths, 32, TrainConfig().bucket_clips, generator), lengths) < 0.08
    assert padding_share([order[start : start + 32] for start in range(0, 7000, 32)], lengths) > 0.3


# sampling


def population() -> list[Any]:
    """600 clips: class 0 ten times as frequent as class 1, and crema five times as frequent as tess in each."""
    groups = {("crema", 0): 450, ("tess", 0): 90, ("crema", 1): 50, ("tess", 1): 10}
    return [entry(f"{corpus}_{label}_{i}", label, corpus) for (corpus, label), count in groups.items() for i in range(count)]


def test_a_shuffle_is_a_permutation() -> None:
    order = draw(population(), "shuffle", 1.0, np.random.default_rng(0))
    assert sorted(order.tolist()) == list(range(600))
    assert order.tolist() != list(range(600))


@pytest.mark.parametrize(("sampler", "groups"), [("class", 2), ("corpus-class", 4)])
def test_a_sampler_draws_every_group_equally_often(sampler: Sampler, groups: int) -> None:
    entries = population()
    epochs = [draw(entries, sampler, 1.0, np.random.default_rng(seed)) for seed in range(20)]
    assert all(len(order) == 600 for order in epochs)
    drawn = [entries[index] for index in np.concatenate(epochs)]
    counts = Counter(e.label if sampler == "class" else (e.corpus, e.label) for e in drawn)
    assert len(counts) == groups
    for count in counts.values():
        assert count / len(drawn) == pytest.approx(1 / groups, abs=0.02)


@pytest.mark.parametrize(("balance", "expected"), [(0.0, (0.75, 0.15)), (0.5, (0.518, 0.232)), (1.0, (0.25, 0.25))])
def test_the_balance_says_how_far_groups_are_evened_out(balance: float, expected: tuple[float, float]) -> None:
    """450 and 90 of 600 clips draw in proportion to n^(1 - balance)."""
    entries = population()
    drawn = [entries[index] for seed in range(20) for index in draw(entries, "corpus-class", balance, np.random.default_rng(seed))]
    counts = Counter((e.corpus, e.label) for e in drawn)
    shares = tuple(counts[group] / len(drawn) for group in (("crema", 0), ("tess", 0)))
    assert shares == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("sampler", ["shuffle", "class", "corpus-class"])
def test_one_version_of_each_clip_stands_for_it_and_its_copies(sampler: Sampler) -> None:
    entries = [entry(f"clip{i}{copy}", label=i % 2) for i in range(40) for copy in ("", "~1", "~2")]
    order = draw(entries, sampler, 1.0, np.random.default_rng(0))
    assert len(order) == 40
    if sampler == "shuffle":
        assert sorted(int(index) // 3 for index in order) == list(range(40))
    epochs = np.concatenate([draw(entries, sampler, 1.0, np.random.default_rng(seed)) for seed in range(50)])
    for version in range(3):
        assert (epochs % 3 == version).mean() == pytest.approx(1 / 3, abs=0.05)


@pytest.mark.parametrize("sampler", ["shuffle", "class", "corpus-class"])
def test_an_epoch_depends_on_the_generator_alone(sampler: Sampler) -> None:
    entries = population()
    first, again, other = (draw(entries, sampler, 1.0, np.random.default_rng(seed)).tolist() for seed in (1, 1, 2))
    assert first == again != other
