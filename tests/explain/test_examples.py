from __future__ import annotations

import numpy as np
import pytest

from m3h.core.errors import SettingError
from m3h.dataset.dataset import Dataset
from m3h.explain.attribution import attributions
from m3h.explain.examples import Example, examples
from m3h.explain.outputs import ask
from m3h.training.trained import TrainedNetwork


def of(found: tuple[Example, ...], group: str) -> list[Example]:
    return [one for one in found if one.group == group]


def test_binary(data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    trained, labels = networks["m3h"], data.labels["death"].values
    found = examples(trained, data, "death", count=2, reasons=3)
    said = dict(zip(data.test_rows.tolist(), ask(trained, data, data.test_rows)["death"].values, strict=True))
    share = (labels[data.train_rows].sum() + 1) / (len(data.train_rows) + 2)
    assert len({one.row for one in found}) == len(found)
    for one in found:
        assert one.truth == labels[one.row]
        assert one.prediction == pytest.approx(said[one.row], abs=1e-6)
        assert one.predicted == float(one.prediction >= share)
        assert one.group == "borderline" or (one.predicted == one.truth) == (one.group == "right")
    positive = [row for row in said if labels[row] == 1]
    assert of(found, "right")[0].row == max(positive, key=lambda row: said[row])
    assert [one.truth for one in of(found, "right")] == [1, 1, 0, 0]
    assert len(of(found, "borderline")) == 2
    near = [abs(one.prediction - share) for one in found]
    assert max(near[-2:]) < min(near[:-2])


def test_reasons_are_the_attributions(data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    (first, *_) = examples(networks["paper"], data, "unit", count=1, reasons=2)
    one = attributions(networks["paper"], data, tasks=["unit"], rows=np.array([first.row]))["unit"]
    adds = one.values[0, :, int(first.predicted)]
    for reason, place in zip(first.reasons, np.argsort(-np.abs(adds))[:2], strict=True):
        assert (reason.source, reason.feature) == (one.features.sources[place], one.features.names[place])
        assert reason.adds == pytest.approx(adds[place], abs=0.02)
        np.testing.assert_equal(reason.value, one.inputs[0, place])


def test_classes_and_values(data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    classes = examples(networks["m3h"], data, "unit", count=2)
    assert [one.group for one in classes] == ["right"] * 2 + ["wrong"] * 2 + ["borderline"] * 2
    assert classes[0].prediction >= classes[1].prediction > 1 / 3
    rows = data.test_rows
    values = examples(networks["m3h"], data, "stay", count=2)
    known = rows[data.labels["stay"].known[rows]]
    errors = np.abs(ask(networks["m3h"], data, known)["stay"].values - data.labels["stay"].values[known])
    worst = of(values, "wrong")[0]
    assert worst.row == known[errors.argmax()] and of(values, "right")[0].row == known[errors.argmin()]
    middle = of(values, "borderline")[0]
    assert abs(middle.prediction - middle.truth) == pytest.approx(np.median(errors), abs=0.2)
    assert all(data.labels["stay"].known[one.row] for one in values)


def test_none_of_the_rows_has_a_label_and_mistakes(data: Dataset, networks: dict[str, TrainedNetwork]) -> None:
    unknown = np.flatnonzero(~data.labels["stay"].known)
    assert examples(networks["paper"], data, "stay", rows=unknown) == ()
    with pytest.raises(SettingError, match="is a clustering"):
        examples(networks["paper"], data, "group")
    with pytest.raises(SettingError, match="0 examples"):
        examples(networks["paper"], data, "stay", count=0)
