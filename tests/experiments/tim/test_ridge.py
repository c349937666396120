"""The fit against other people's, and by other roads."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import null_space
from scipy.stats import multivariate_normal
from sklearn.linear_model import Ridge as Sklearn

from m3h.core import seeds
from m3h.experiments.tim import ridge
from m3h.experiments.tim.model import Model, regression
from m3h.experiments.tim.observed import Rows


def made(groups: int = 3, each: int = 9, targets: int = 5, weight: float = 1.0) -> tuple[Rows, Model]:
    rng = seeds.generator(0, "rows", groups, each)
    others = rng.integers(0, 2, (groups * each, targets)).astype(float)
    group = np.repeat(np.arange(groups), each)
    score = others @ rng.standard_normal(targets) + group + 0.5 * rng.standard_normal(len(group))
    rows = Rows(others, others.sum(1).astype(np.int64) + 1, group, np.full(len(group), weight), score)
    model = regression(rows, None)
    assert model is not None
    return rows, model


@pytest.mark.parametrize("spread", [0.05, 1.0, 20.0])
def test_effects_are_those_of_scikit_learn(spread: float) -> None:
    # scikit-learn's ridge leaves only an intercept free; groups and the common effect are taken out of both sides first
    rows, model = made()
    off = np.eye(len(rows.score)) - model.fixed @ np.linalg.pinv(model.fixed)
    other = Sklearn(alpha=1 / spread, fit_intercept=False).fit(off @ rows.others, off @ rows.score)
    levels, effects = ridge._Turned(model, 0.0).maps(spread)
    np.testing.assert_allclose(effects @ rows.score, other.coef_, atol=1e-9)
    left = rows.score - rows.others @ other.coef_
    np.testing.assert_allclose(levels @ rows.score, np.linalg.lstsq(model.fixed, left, rcond=None)[0], atol=1e-9)


@pytest.mark.parametrize(("spread", "replicate"), [(0.0, 0.0), (0.7, 0.0), (0.7, 0.4), (30.0, 2.0)])
def test_the_restricted_likelihood_is_that_of_contrasts(spread: float, replicate: float) -> None:
    # the density of scores without their fixed effects, at the variance of noise that makes it largest; ratios of it
    # do not depend on how the fixed effects are taken out
    _, model = made()
    free = null_space(model.fixed.T)
    contrasts = free.T @ model.score

    def direct(s: float, r: float) -> tuple[float, float]:
        same = model.group[:, None] == model.group[None, :]
        covariance = np.eye(len(same)) + s * model.random @ model.random.T + r * model.random @ model.random.T * same
        inner = free.T @ covariance @ free
        noise = contrasts @ np.linalg.solve(inner, contrasts) / len(contrasts)
        return float(multivariate_normal(cov=noise * inner).logpdf(contrasts)), float(noise)

    log, noise = ridge._Turned(model, replicate).likelihood(spread)
    zero, _ = ridge._Turned(model, 0.0).likelihood(0.0)
    assert log - zero == pytest.approx(direct(spread, replicate)[0] - direct(0.0, 0.0)[0])
    assert noise == pytest.approx(direct(spread, replicate)[1])


def test_priors_are_half_cauchy() -> None:
    parts = ridge._prior((0.0, 1.0, 3.0))
    # half-Cauchy below 0.5, to 2, above: 2 / pi times the arc tangents
    expected = [0.295167, 0.704833 - 0.295167, 1 - 0.704833]
    assert [value for value, _ in parts] == [0.0, 1.0, 3.0]
    assert [share for _, share in parts] == pytest.approx(expected, abs=1e-6)


def test_weak_effects_shrink_to_a_common_one_and_not_to_zero() -> None:
    rng = seeds.generator(1, "rows")
    others = rng.integers(0, 2, (60, 6)).astype(float)
    score = others.sum(1) * 2.0 + rng.standard_normal(60)
    group = np.repeat([0, 1, 2], 20)
    model = regression(Rows(others, others.sum(1).astype(np.int64) + 1, group, np.ones(60), score), None)
    assert model is not None
    values = ridge.fit(model).estimator @ model.score
    least = np.linalg.lstsq(np.column_stack([group[:, None] == range(3), others]), score, rcond=None)[0][3:]
    assert np.ptp(values) < 0.5 * np.ptp(least)
    assert values.mean() == pytest.approx(2.0, abs=0.2)


def test_the_averaged_fit_is_made_of_its_parts() -> None:
    # by a longer road: every penalty's estimator by dense inverses, weighed by the likelihoods
    _, model = made()
    same = model.group[:, None] == model.group[None, :]
    found, weights = [], []
    for s, prior_s in ridge._prior(ridge.SPREADS):
        for r, prior_r in ridge._prior(ridge.REPLICATE_SPREADS):
            alike = model.random @ model.random.T
            inverse = np.linalg.inv(np.eye(len(same)) + s**2 * alike + r**2 * alike * same)
            levels = np.linalg.solve(model.fixed.T @ inverse @ model.fixed, model.fixed.T @ inverse)
            rest = inverse @ (np.eye(len(same)) - model.fixed @ levels)
            found.append(levels[-1] + s**2 * model.random.T @ rest)
            log, _ = ridge._Turned(model, r**2).likelihood(s**2)
            weights.append(np.log(prior_s * prior_r) + log)
    share = np.exp(np.array(weights) - max(weights))
    mean = np.tensordot(share / share.sum(), np.array(found), 1)
    np.testing.assert_allclose(ridge.fit(model).estimator, mean, atol=1e-5)


def test_one_replicate_has_no_variance_between_replicates() -> None:
    _, model = made(groups=1, each=20)
    fitted = ridge.fit(model)
    assert (fitted.replicates, fitted.seen) == (0.0, 0.0)
    assert fitted.spread > 0
