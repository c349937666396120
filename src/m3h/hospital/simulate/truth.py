"""What is true of a simulated hospital: which tasks share a cause, how strongly, and what was written."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from m3h.hospital.simulate.model import DAYS, THORACIC, Model


def truth(model: Model, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``truth.json``: ``facts`` of this hospital, then causes, tasks and pairs of tasks.

    ``planted``: pairs that share a latent condition, the ones in ``shared``; ``strength`` is the correlation of their
    liabilities (-1 to 1), for the thoracic task the largest over its classes. ``unplanted``: pairs that share none,
    whose liabilities are independent. ``observed``: pairs that are tied through an observed fact, the patient's sex;
    they are in neither list.
    """
    planted, unplanted, observed = [], [], []
    for a, b in combinations(model.tasks, 2):
        pair: dict[str, Any] = {"a": a, "b": b}
        shared = sorted(model.origins(a) & model.origins(b), key=model.position.__getitem__)
        if model.tasks[a].sex and model.tasks[b].sex:
            observed.append(pair | {"fact": "sex"})
        elif shared:
            planted.append(pair | {"shared": shared, "strength": round(model.strength(a, b), 4)})
        else:
            unplanted.append(pair)
    planted.sort(key=lambda pair: (-abs(pair["strength"]), pair["a"], pair["b"]))
    return {
        **facts,
        "latents": [{"name": name, "causes": dict(model.causes[name])} for name in model.latents],
        "tasks": [_task(model, name) for name in model.tasks],
        "planted": planted,
        "unplanted": unplanted,
        "observed": observed,
    }


def _task(model: Model, name: str) -> dict[str, Any]:
    task = model.tasks[name]
    kind = {THORACIC: "multiclass", DAYS: "regression"}.get(name, "binary")
    if name != THORACIC:
        return {
            "name": name,
            "kind": kind,
            "scope": task.scope,
            "share": task.share,
            "causes": dict(model.causes[name]),
        }
    classes = {item.name: dict(model.causes[item.name]) for item in model.findings.values() if item.classed}
    return {"name": name, "kind": kind, "scope": task.scope, "share": None, "classes": classes}
