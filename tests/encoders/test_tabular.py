"""Tabular sources: numbers, categories, what is missing and what was never seen."""

import numpy as np
import pytest

from m3h.core.errors import DataError, SettingError
from m3h.encoders.tabular import Tabular
from m3h.hospital.sources import TableColumns

NAN = float("nan")


def texts(*values):
    return np.array(values, dtype=object)


def encode(encoder, columns, rows):
    data = TableColumns(columns)
    return encoder.transform("facts", data, encoder.fit(data, np.array(rows, dtype=bool)))


def test_worked_example():
    block = encode(
        Tabular(),
        {"age": np.array([70.0, NAN, 31.5, NAN]), "view": texts("pa", "lateral", "ap", None)},
        [1, 0, 1, 1],
    )
    assert block.names == ("age", "view=ap", "view=pa", "view=unknown")
    expected = [[70, 0, 1, 0], [NAN, 0, 0, 1], [31.5, 1, 0, 0], [NAN, NAN, NAN, NAN]]
    np.testing.assert_array_equal(block.values, np.array(expected, dtype=np.float32))
    assert block.present.tolist() == [True, True, True, False]


def test_a_category_called_unknown_shares_the_column_of_the_unseen():
    block = encode(Tabular(), {"sex": texts("unknown", "f", "x")}, [1, 1, 0])
    assert block.names == ("sex=f", "sex=unknown")
    assert block.values.tolist() == [[0, 1], [1, 0], [0, 1]]


def test_codes_written_as_numbers_can_be_categories():
    block = encode(Tabular(categories=("unit",)), {"unit": np.array([3.0, 1.0, NAN, 2.5])}, [1, 1, 1, 1])
    assert block.names == ("unit=1", "unit=2.5", "unit=3", "unit=unknown")
    assert block.values[0].tolist() == [0, 0, 1, 0]
    assert not block.present[2]


def test_new_patients_whose_codes_are_read_as_numbers():
    data = TableColumns({"unit": texts("1", "2", "X")})
    state = Tabular().fit(data, np.ones(3, bool))
    new = Tabular().transform("facts", TableColumns({"unit": np.array([2.0, NAN])}), state)
    assert new.values[0].tolist() == [0, 1, 0, 0]
    assert new.present.tolist() == [True, False]


def test_new_patients_with_texts_where_numbers_belong():
    state = Tabular().fit(TableColumns({"age": np.array([1.0])}), np.ones(1, bool))
    empty = Tabular().transform("facts", TableColumns({"age": texts(None, None)}), state)
    assert not empty.present.any()
    with pytest.raises(DataError, match='"age" holds texts in 1 rows'):
        Tabular().transform("facts", TableColumns({"age": texts("old", None)}), state)


def test_a_column_that_new_patients_lack_is_named():
    state = Tabular().fit(TableColumns({"weight": np.array([1.0])}), np.ones(1, bool))
    with pytest.raises(DataError, match='no column "weight"; did you mean "weigth"'):
        Tabular().transform("facts", TableColumns({"weigth": np.array([1.0])}), state)


def test_too_many_categories_tells_the_ways_out_and_no_text():
    notes = texts(*(f"secret {number}" for number in range(6)))
    with pytest.raises(DataError, match=r"6 distinct values") as caught:
        encode(Tabular(max_categories=5), {"note": notes}, [1] * 6)
    message = str(caught.value)
    assert 'modality "language"' in message
    assert "options.max_categories" in message
    assert "secret" not in message
    assert encode(Tabular(max_categories=5), {"note": notes}, [1, 1, 1, 1, 1, 0]).width == 6


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e39])
def test_infinite_numbers_are_refused(value):
    with pytest.raises(DataError, match=r'"lactate" holds 1 numbers that are infinite or too large'):
        encode(Tabular(), {"lactate": np.array([1.0, value])}, [1, 1])


def test_a_column_named_as_a_category_of_another_is_refused():
    with pytest.raises(DataError, match="same name as another"):
        encode(Tabular(), {"view=pa": np.array([1.0]), "view": texts("pa")}, [1])


def test_an_unknown_name_in_categories_is_refused():
    with pytest.raises(SettingError, match=r'"agee".*did you mean "age"'):
        encode(Tabular(categories=("agee",)), {"age": np.array([1.0])}, [1])
