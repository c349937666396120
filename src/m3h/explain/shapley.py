"""Shapley values of any game of a few players: what each adds, on average over all orders in which they may come.

Shapley 1953: the only split that adds up to the whole, treats players alike that do the same, gives nothing to one that
does nothing, and adds up over games. Exact from all 2^n coalitions up to :data:`EXACT` players; with more, the mean
over random orders (Castro 2009), each taken with its reverse, which cancels much of the chance (Mitchell 2022,
arXiv 2104.12199).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3h.core import seeds
from m3h.core.errors import SettingError

#: Players up to which all coalitions are asked.
EXACT = 11

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """Which coalitions to ask for. A coalition is a number whose bit k is set if player k is in it.

    ``orders`` (order, player): random orders, each followed by its reverse; None if ``coalitions`` are all there are.
    """

    players: int
    coalitions: tuple[int, ...]
    orders: NDArray[np.int64] | None = None


def plan(players: int, *, seed: int, orders: int = 200, exact: int = EXACT) -> Plan:
    """All coalitions of up to ``exact`` players; of more, those met along ``orders`` random orders, which follow from
    ``seed``. Errors: SettingError for fewer than 4 orders, which have no standard error."""
    if players <= exact:
        return Plan(players, tuple(range(1 << players)))
    if orders < 4:
        raise SettingError(f"{orders} orders of {players} sources", expected="at least 4")
    random = seeds.generator(seed, "orders of sources")
    drawn = np.stack([random.permutation(players) for _ in range(orders // 2)])
    both = np.stack([drawn, drawn[:, ::-1]], 1).reshape(-1, players)
    met = np.cumsum(1 << both.astype(object), axis=1)  # Python's own numbers: more than 63 sources are no mistake
    return Plan(players, tuple(sorted({0, *met.ravel().tolist()})), both)


def split(plan: Plan, values: Floats) -> tuple[Floats, Floats]:
    """What each player adds (player, ...) to ``values`` (coalition, ...), in the order of the plan's coalitions, and
    the standard error of it: 0 where all coalitions were asked.

    The players' parts add up to the value of all less that of none, up to rounding; exactly 0 for a player whose
    coming changes no value.
    """
    if plan.orders is None:
        return _exact(plan.players, values), np.zeros((plan.players, *values.shape[1:]))
    place = {coalition: number for number, coalition in enumerate(plan.coalitions)}
    added = np.zeros((*plan.orders.shape, *values.shape[1:]))
    for order, players in enumerate(plan.orders.tolist()):
        before = 0
        for player in players:
            after = before | 1 << player
            added[order, player] = values[place[after]] - values[place[before]]
            before = after
    by_pair = added.reshape(-1, 2, *added.shape[1:]).mean(1)  # an order and its reverse are one draw
    return by_pair.mean(0), by_pair.std(0, ddof=1) / math.sqrt(len(by_pair))


def _exact(players: int, values: Floats) -> Floats:
    sizes = np.array([coalition.bit_count() for coalition in range(1 << players)])
    found = np.zeros((players, *values.shape[1:]))
    for player in range(players):
        without = np.flatnonzero(np.arange(1 << players) >> player & 1 == 0)
        size = sizes[without].tolist()
        weights = [math.factorial(k) * math.factorial(players - k - 1) / math.factorial(players) for k in size]
        found[player] = np.tensordot(weights, values[without | 1 << player] - values[without], axes=1)
    return found
