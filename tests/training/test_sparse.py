"""Group lasso and ridge against scikit-learn, and the conditions that an optimum fulfils."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso, LogisticRegression, Ridge

from m3h.study.task import Kind
from m3h.training import dense, sparse
from m3h.training.dense import DensePath
from m3h.training.objective import Objective, mean_loss
from m3h.training.sparse import SparsePath

ROWS, COLUMNS = 300, 12


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the optimum, not to where more steps change no score."""
    monkeypatch.setattr(sparse, "STEPS", 3000)
    monkeypatch.setattr(sparse, "CLOSE", 1e-4)
    monkeypatch.setattr(dense, "STEPS", 3000)
    monkeypatch.setattr(dense, "CHANGE", 1e-7)


def made(kind: Kind) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    x = random.normal(size=(ROWS, COLUMNS)) @ random.normal(size=(COLUMNS, COLUMNS)) / 3 + 0.5
    signal = x[:, 0] - 2 * x[:, 1] + 0.3
    if kind == "regression":
        return x, signal + random.normal(size=ROWS)
    if kind == "binary":
        return x, (signal + random.logistic(size=ROWS) > 0).astype(float)
    return x, np.digitize(signal + random.logistic(size=ROWS), (-1.0, 1.0)).astype(float)


def tensor(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x.T.astype(np.float32).copy())


def objective(y: np.ndarray, kind: Kind, outputs: int = 1) -> Objective:
    return Objective(y, kind, outputs, np.ones(len(y), bool))


ALONE = torch.ones(COLUMNS, dtype=torch.int64)


def test_groups_of_one_are_the_lasso_of_scikit_learn() -> None:
    x, y = made("regression")
    path = SparsePath(tensor(x), ALONE, objective(y, "regression"))
    for penalty in (5.0, 2.0, 0.7):
        path.go(penalty)
        theirs = Lasso(alpha=penalty / np.sqrt(ROWS), tol=1e-8).fit(x, y)
        np.testing.assert_allclose(path.weight[:, 0], theirs.coef_, atol=2e-3)
        np.testing.assert_allclose(path.bias, theirs.intercept_, atol=5e-3)
        assert (path.weight[np.abs(theirs.coef_) > 2e-3, 0] != 0).all()
        assert (path.weight[:, 0] == 0).sum() >= (theirs.coef_ == 0).sum() - 1


def test_groups_of_one_are_the_sparse_logistic_regression_of_scikit_learn() -> None:
    x, y = made("binary")
    path = SparsePath(tensor(x), ALONE, objective(y, "binary"))
    for penalty in (2.0, 1.0, 0.4):
        path.go(penalty)
    c = 1 / (0.4 / np.sqrt(ROWS) * ROWS)
    theirs = LogisticRegression(l1_ratio=1.0, C=c, solver="saga", tol=1e-8, max_iter=20000).fit(x, y)
    np.testing.assert_allclose(path.weight[:, 0], theirs.coef_[0], atol=5e-3)
    np.testing.assert_allclose(path.bias, theirs.intercept_, atol=1e-2)


@pytest.mark.parametrize(("kind", "outputs"), [("binary", 1), ("multiclass", 3), ("regression", 1)])
def test_the_conditions_of_the_optimum_hold(kind: Kind, outputs: int) -> None:
    x, y = made(kind)
    counts = torch.tensor([1, 3, 2, 6])
    of = objective(y, kind, outputs)
    path = SparsePath(tensor(x), counts, of)
    for penalty in (3.0, 1.0):
        path.go(penalty)
    gradient = tensor(x) @ of.residual(path.adds(tensor(x)))
    begin, inside = 0, 0
    for count in counts.tolist():
        limit = 1.0 / np.sqrt(ROWS) * np.sqrt(count)
        own, weight = gradient[begin : begin + count], path.weight[begin : begin + count]
        if weight.abs().sum() == 0:
            assert own.norm() <= 1.03 * limit
        else:
            inside += 1
            torch.testing.assert_close(own, -limit * weight / weight.norm(), atol=0.02 * limit, rtol=0)
        begin += count
    assert inside > 0
    torch.testing.assert_close(of.residual(path.adds(tensor(x))).sum(0), torch.zeros(outputs), atol=1e-4, rtol=0)


def test_groups_come_in_whole_and_none_at_a_great_penalty() -> None:
    x, y = made("binary")
    path = SparsePath(tensor(x), torch.tensor([4, 4, 4]), objective(y, "binary"))
    path.go(1000.0)
    assert (path.weight == 0).all()
    torch.testing.assert_close(torch.sigmoid(path.bias), torch.tensor([(y.sum() + 0.5) / (ROWS + 1)]).float())
    path.go(0.5)
    inside = (path.weight.view(3, 4) != 0).sum(1)
    assert set(inside.tolist()) <= {0, 4}
    assert inside.sum() > 0


def test_groups_that_are_not_allowed_stay_out() -> None:
    x, y = made("regression")
    allowed = torch.tensor([True, False, True])
    path = SparsePath(tensor(x), torch.tensor([4, 4, 4]), objective(y, "regression"), allowed=allowed)
    path.go(0.1)
    assert (path.weight[4:8] == 0).all()
    assert (path.weight[:4] != 0).all()


@pytest.mark.parametrize("penalty", [3.0, 0.3])
def test_the_ridge_is_that_of_scikit_learn(penalty: float) -> None:
    x, y = made("regression")
    path = DensePath(tensor(x), COLUMNS, objective(y, "regression"))
    path.go(penalty)
    theirs = Ridge(alpha=penalty * COLUMNS).fit(x, y)
    np.testing.assert_allclose(path.weight[:, 0], theirs.coef_, atol=1e-3)
    np.testing.assert_allclose(path.bias, theirs.intercept_, atol=2e-3)


def test_the_logistic_ridge_is_that_of_scikit_learn() -> None:
    x, y = made("binary")
    path = DensePath(tensor(x), COLUMNS, objective(y, "binary"))
    path.go(1.0)
    theirs = LogisticRegression(C=1 / COLUMNS, tol=1e-8, max_iter=5000).fit(x, y)
    np.testing.assert_allclose(path.weight[:, 0], theirs.coef_[0], atol=2e-3)
    np.testing.assert_allclose(path.bias, theirs.intercept_, atol=5e-3)


def test_an_offset_is_what_outputs_are_added_to() -> None:
    x, y = made("binary")
    whole = SparsePath(tensor(x), ALONE, objective(y, "binary"))
    whole.go(0.01)
    rest = Objective(y, "binary", 1, np.ones(ROWS, bool), whole.adds(tensor(x)))
    again = SparsePath(tensor(x), ALONE, rest)
    again.go(0.5)
    assert again.weight.abs().max() < 0.02  # nothing is left to say


def test_only_labelled_rows_that_are_fitted_count() -> None:
    x, y = made("regression")
    fitted = np.arange(ROWS) < 200
    y = np.where(np.arange(ROWS) % 5 == 0, np.nan, y)
    path = SparsePath(tensor(x), ALONE, Objective(y, "regression", 1, fitted))
    path.go(0.7)
    chosen = fitted & ~np.isnan(y)
    theirs = Lasso(alpha=0.7 / np.sqrt(chosen.sum()), tol=1e-8).fit(x[chosen], y[chosen])
    np.testing.assert_allclose(path.weight[:, 0], theirs.coef_, atol=2e-3)


def test_no_labelled_row_is_no_model() -> None:
    x, _ = made("binary")
    nobody = np.full(ROWS, np.nan)
    for path in (
        SparsePath(tensor(x), ALONE, objective(nobody, "binary")),
        DensePath(tensor(x), COLUMNS, objective(nobody, "binary")),
    ):
        path.go(0.5)
        assert (path.adds(tensor(x)) == 0).all()


def test_losses_by_hand() -> None:
    y = np.array([1.0, 0.0, np.nan])
    outputs = torch.tensor([[0.0], [0.0], [9.0]])
    assert mean_loss("binary", outputs, y) == pytest.approx(np.log(2))
    assert mean_loss("regression", outputs, y) == pytest.approx(0.5)
    assert mean_loss("multiclass", torch.zeros(3, 4), y) == pytest.approx(np.log(4))
