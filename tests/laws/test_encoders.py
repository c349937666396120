"""Laws that hold for every encoder that works offline; whoever registers one gets these checks."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from m3h.core.errors import WeightsError
from m3h.core.registry import ENCODERS
from m3h.encoders.cache import encode, encode_new
from m3h.encoders.options import make
from m3h.hospital.sources import EventBatch, Events, Images, TableColumns, Texts
from m3h.study.spec import Source

SAMPLES = 24
ABSENT = (3, 11, 20)
TRAIN = np.arange(SAMPLES) % 3 != 2
TEST = np.flatnonzero(~TRAIN)


def source_of(name):
    modality, encoder = name.split("/")
    return Source(name="input", modality=modality, encoder=encoder)


def works_offline(name):
    try:
        make(source_of(name))
    except WeightsError:
        return False
    return True


OFFLINE = [name for name in ENCODERS.names() if works_offline(name)]


def tabular(order, poison, folder):
    random = np.random.default_rng(0)
    age, view = random.normal(60, 9, SAMPLES), random.choice(np.array(["pa", "ap", "ll"], dtype=object), SAMPLES)
    age[5] = np.nan
    view[7] = None
    age[list(ABSENT)], view[list(ABSENT)] = np.nan, None
    if poison:
        age[TEST], view[TEST] = 1e30, [f"poison {row}" for row in TEST]
    return TableColumns({"age": age[order], "view": view[order]})


def timeseries(order, poison, folder):
    random = np.random.default_rng(1)
    signals = ("a", "b", "c", "poison") if poison else ("a", "b", "c")
    parts = []
    for place, row in enumerate(order):
        for signal in range(len(signals)):
            values = np.random.default_rng([row, signal]).normal(size=1 + (row + signal) % 4)
            known = row not in ABSENT and not (signal == 3 and TRAIN[row])
            parts += [(place, signal, -float(9 - at), value) for at, value in enumerate(values) if known]
    if poison:
        parts = [(p, s, t, v if TRAIN[order[p]] else 1e9 * random.normal()) for p, s, t, v in parts]
    columns = list(zip(*parts, strict=True))
    dtypes = (np.int64, np.int32, np.float64, np.float64)
    batch = EventBatch(*(np.array(column, dtype) for column, dtype in zip(columns, dtypes, strict=True)))

    def signals_of(rows):
        return tuple(signals[index] for index in np.unique(batch.signal[rows[batch.sample]]))

    return Events(SAMPLES, signals, "minutes", True, lambda: iter([batch]), signals_of)


def language(order, poison, folder):
    random = np.random.default_rng(2)
    words = ["cough", "fever", "pain", "clear", "heart", "lung", "left", "right", "size"]
    texts = [(" ".join(random.choice(words, 7)), " ".join(random.choice(words, 3))) for _ in range(SAMPLES)]
    for row in ABSENT:
        texts[row] = ()
    if poison:
        for row in TEST:
            texts[row] = ("poison poison venom cough " * (row + 1),)
    return Texts(tuple(texts[row] for row in order), tuple((0.0,) * len(texts[row]) for row in order))


def vision(order, poison, folder):
    folder.mkdir(exist_ok=True)
    paths = []
    for row in range(SAMPLES):
        values = np.random.default_rng(row).integers(0, 255, (40 + row, 50), dtype=np.uint8)
        name = folder / f"{row}.png"
        Image.fromarray(values // 9 if poison and row in TEST else values).save(name)
        paths.append(() if row in ABSENT else (name,))
    return Images(tuple(paths[row] for row in order), tuple((0.0,) * len(paths[row]) for row in order))


def columns(order, poison, folder):
    """Numbers that are read as they are, whatever they stand for."""
    first = tabular(order, poison, folder).columns["age"]
    second = np.random.default_rng(3).normal(size=SAMPLES)
    second[list(ABSENT)] = np.nan
    return TableColumns({"first": first, "second": second[order]})


DATA = {"tabular": tabular, "timeseries": timeseries, "language": language, "vision": vision}
IN_ORDER = np.arange(SAMPLES)


def data_of(source):
    return columns if source.encoder == "columns" else DATA[source.modality]


def encoded(name, folder, *, order=IN_ORDER, poison=False, cache=None):
    source = source_of(name)
    make_data = data_of(source)
    return encode(source, lambda: make_data(order, poison, folder / str(poison)), TRAIN[order], key="law", cache=cache)


def state_bytes(state):
    arrays = {name: (array.shape, array.tobytes()) for name, array in state.arrays.items()}
    return json.dumps(state.facts, sort_keys=True), arrays


def test_the_default_encoders_all_work_offline():
    assert {"tabular/tabular", "timeseries/statistics", "language/tfidf", "vision/hog"} <= set(OFFLINE)


@pytest.mark.parametrize("name", ENCODERS.names())
def test_an_encoder_is_a_frozen_dataclass_with_a_version(name):
    maker = ENCODERS.load(name)
    assert dataclasses.is_dataclass(maker)
    assert maker.__dataclass_params__.frozen
    assert isinstance(maker.version, int)
    assert all(field.default is not dataclasses.MISSING for field in dataclasses.fields(maker))


@pytest.mark.parametrize("name", OFFLINE)
def test_rows_outside_training_do_not_influence_what_is_learnt(name, tmp_path):
    plain, poisoned = (encoded(name, tmp_path, poison=poison) for poison in (False, True))
    assert state_bytes(plain.state) == state_bytes(poisoned.state)
    assert plain.block.names == poisoned.block.names
    assert plain.block.values[TRAIN].tobytes() == poisoned.block.values[TRAIN].tobytes()
    # the poison was there: else the law would hold for nothing
    assert plain.block.values[TEST].tobytes() != poisoned.block.values[TEST].tobytes()


@pytest.mark.parametrize("name", OFFLINE)
def test_permuting_samples_permutes_the_block(name, tmp_path):
    order = np.random.default_rng(5).permutation(SAMPLES)
    plain, permuted = encoded(name, tmp_path).block, encoded(name, tmp_path, order=order).block
    assert plain.names == permuted.names
    assert plain.present[order].tolist() == permuted.present.tolist()
    # what is learnt from sums over all training rows may round otherwise in another order
    np.testing.assert_allclose(plain.values[order], permuted.values, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", OFFLINE)
def test_absent_samples_are_all_nan_and_values_finite_or_nan(name, tmp_path):
    block = encoded(name, tmp_path).block
    assert tuple(np.flatnonzero(~block.present)) == ABSENT
    assert np.isnan(block.values[list(ABSENT)]).all()
    assert not np.isnan(block.values[block.present]).all(axis=1).any()
    assert not np.isinf(block.values).any()
    assert block.values.dtype == np.float32


@pytest.mark.parametrize("name", OFFLINE)
def test_names_are_unique_and_as_many_as_columns(name, tmp_path):
    block = encoded(name, tmp_path).block
    assert len(block.names) == len(set(block.names)) == len(block.units) == block.values.shape[1] > 0


@pytest.mark.parametrize("name", OFFLINE)
def test_what_comes_from_the_cache_is_what_was_put_in(name, tmp_path):
    made = encoded(name, tmp_path, cache=tmp_path / "cache")
    found = encoded(name, tmp_path, cache=tmp_path / "cache")
    assert (made.cached, found.cached) == (False, True)
    assert made.block.values.tobytes() == found.block.values.tobytes()
    assert made.block.present.tobytes() == found.block.present.tobytes()
    assert (made.block.names, made.block.units) == (found.block.names, found.block.units)
    assert state_bytes(made.state) == state_bytes(found.state)


@pytest.mark.parametrize("name", OFFLINE)
def test_samples_encoded_as_new_patients_have_the_bytes_of_the_study(name, tmp_path):
    made = encoded(name, tmp_path)
    source = source_of(name)
    new = encode_new(source, data_of(source)(IN_ORDER, False, tmp_path / "False"), made.state)
    assert new.values.tobytes() == made.block.values.tobytes()


@pytest.mark.parametrize("name", OFFLINE)
def test_two_makings_have_the_same_bytes(name, tmp_path):
    first, second = (encoded(name, tmp_path) for _ in range(2))
    assert first.block.values.tobytes() == second.block.values.tobytes()
    assert state_bytes(first.state) == state_bytes(second.state)
