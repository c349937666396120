"""Choices beyond doubt, against the t statistic."""

from __future__ import annotations

import numpy as np
from scipy.stats import ttest_rel

from m3h.training.objective import best_beyond_doubt


def test_as_many_standard_errors_as_the_paired_t_statistic() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(1.1, 1.0, 400), random.normal(1.0, 1.0, 400)
    t = ttest_rel(first, second).statistic * np.sqrt(400 / 399)  # that one divides by one row less
    alone = np.arange(400)
    assert t > 0.2
    assert best_beyond_doubt([first, second], alone, t - 0.01) == 1
    assert best_beyond_doubt([first, second], alone, t + 0.01) == 0
    assert best_beyond_doubt([second, first], alone, 0.0) == 0


def test_rows_of_a_patient_speak_together() -> None:
    """Every row ten times is no more proof than once, whatever the order of the rows."""
    random = np.random.default_rng(1)
    first, second = random.normal(1.2, 1.0, 100), random.normal(1.0, 1.0, 100)
    patients, order = np.arange(100), random.permutation(1000)
    many = [np.repeat(loss, 10)[order] for loss in (first, second)]
    for doubt in np.linspace(0, 4, 41):
        once = best_beyond_doubt([first, second], patients, doubt)
        assert best_beyond_doubt(many, np.repeat(patients, 10)[order], doubt) == once
    assert best_beyond_doubt(many, np.arange(1000), 2.5) == 1  # taken for a thousand patients
    assert best_beyond_doubt([first, second], patients, 2.5) == 0
