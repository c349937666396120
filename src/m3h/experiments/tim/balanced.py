"""Sign tables whose columns are orthogonal: designs in which every two tasks are together as often as apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Signs = NDArray[np.int64]


def orthogonal_signs(least: int) -> Signs:
    """A Hadamard matrix, +1 and -1 with orthogonal columns, of the smallest order from ``least`` on that is known here.

    Orders are built by doubling (Sylvester 1867) from those of Paley (1933): q + 1 for primes q = 3 mod 4, 2 (q + 1)
    for primes q = 1 mod 4.
    """
    order = max(1, least)
    while (matrix := _hadamard(order)) is None:
        order += 1
    return matrix


def _hadamard(order: int) -> Signs | None:
    if order == 1:
        return np.ones((1, 1), dtype=np.int64)
    if order == 2:
        return np.array([[1, 1], [1, -1]])
    if order % 4:
        return None
    if _prime(order - 1):
        return _paley_first(order - 1)
    if order // 2 % 4 == 2 and _prime(order // 2 - 1):
        return _paley_second(order // 2 - 1)
    half = _hadamard(order // 2)
    return None if half is None else np.block([[half, half], [half, -half]])


def _paley_first(q: int) -> Signs:
    skew = np.zeros((q + 1, q + 1), dtype=np.int64)
    skew[0, 1:], skew[1:, 0] = 1, -1
    skew[1:, 1:] = _residues(q)
    return skew + np.eye(q + 1, dtype=np.int64)


def _paley_second(q: int) -> Signs:
    conference = np.zeros((q + 1, q + 1), dtype=np.int64)
    conference[0, 1:] = conference[1:, 0] = 1
    conference[1:, 1:] = _residues(q)
    on, off = np.array([[1, -1], [-1, -1]]), np.array([[1, 1], [1, -1]])
    return np.asarray(np.kron(np.eye(q + 1, dtype=np.int64), on) + np.kron(conference, off))


def _residues(q: int) -> Signs:
    """(row - column) of the table: 1 for a square modulo q, -1 for none, 0 on the diagonal."""
    squares = {k * k % q for k in range(1, q)}
    sign = np.array([0] + [1 if k in squares else -1 for k in range(1, q)])
    place = np.arange(q)
    return np.asarray(sign[(place[:, None] - place[None, :]) % q])


def _prime(number: int) -> bool:
    return number > 1 and all(number % k for k in range(2, int(number**0.5) + 1))
