from __future__ import annotations

import numpy as np

from m3h.experiments.asking import Ask, Scores
from m3h.experiments.tim.observed import observed


def test_scores_become_rows() -> None:
    asks = [Ask(("a",)), Ask(("a", "c")), Ask(("b", "c"), 0, 1), Ask(("a", "b", "c"), 0, 1), Ask(("a", "b"), 0, 1)]
    scores: dict[Ask, Scores] = {
        asks[0]: {"a": 1.0},
        asks[1]: {"a": 2.0, "c": float("nan")},
        asks[2]: {"b": 3.0, "c": 4.0},
        asks[3]: {"a": 5.0, "b": float("inf"), "c": 6.0},
    }
    seen = observed(("a", "b", "c"), zip(asks, [1.0, 2.0, 1.0, 3.0, 1.0], strict=True), scores)
    a, b, c = (seen.of(source) for source in range(3))
    # others of a are b and c; the last training failed
    np.testing.assert_array_equal(a.others, [[0, 0], [0, 1], [1, 1]])
    assert (a.size.tolist(), a.group.tolist(), a.weight.tolist()) == ([1, 2, 3], [0, 0, 1], [1, 2, 3])
    assert a.score.tolist() == [1, 2, 5]
    np.testing.assert_array_equal(b.others, [[0, 1]])
    assert (b.score.tolist(), b.groups) == ([3.0], 1)  # the groups of a source are numbered from 0
    np.testing.assert_array_equal(c.others, [[0, 1], [1, 1]])
    assert c.score.tolist() == [4, 6]


def test_nothing_scored() -> None:
    rows = observed(("a", "b"), [(Ask(("a",)), 1.0)], {}).of(0)
    assert (len(rows.score), rows.groups) == (0, 0)
