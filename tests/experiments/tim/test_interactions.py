from __future__ import annotations

import numpy as np
import polars as pl

from m3h.experiments.tim.interactions import Interactions

NAN = float("nan")


def test_the_table_by_hand() -> None:
    tim = np.array([[NAN, 0.2, -0.1], [0.0, NAN, NAN], [0.3, 0.4, NAN]])
    trials = np.where(np.eye(3) > 0, NAN, 6.0)
    trials[1, 2] = 0
    found = Interactions(("a", "b", "c"), "pairs", tim, tim - 1, tim + 1, np.abs(tim), trials)
    table = found.table({"a": "binary", "b": "clustering", "c": "regression"})
    expected = pl.DataFrame(
        {
            "source": ["a", "a", "b", "b", "c", "c"],
            "target": ["b", "c", "a", "c", "a", "b"],
            "tim": [0.2, -0.1, 0.0, None, 0.3, 0.4],
            "low": [-0.8, -1.1, -1.0, None, -0.7, -0.6],
            "high": [1.2, 0.9, 1.0, None, 1.3, 1.4],
            "q": [0.2, 0.1, 0.0, None, 0.3, 0.4],
            "trials": [6, 6, 6, 0, 6, 6],
            "rank": [1.0, -1.0, 0.0, None, 1.0, 2.0],
            "method": ["pairs"] * 6,
            "metric": ["auroc", "auroc", "silhouette_fixed", "silhouette_fixed", "r2", "r2"],
        }
    )
    assert table.columns == expected.columns
    assert table.dtypes == expected.dtypes
    assert table.drop("low", "high").equals(expected.drop("low", "high"))
    for name in ("low", "high"):
        np.testing.assert_allclose(table[name].to_numpy(), expected[name].to_numpy(), atol=1e-15)
