"""The settings of a command in one line, as they are after study file and options."""

from __future__ import annotations

from m3h.api import tim
from m3h.api.options import Options
from m3h.api.work import Work
from m3h.experiments import crossval
from m3h.experiments.tim.settings import sets_wanted
from m3h.study.spec import Study


def settled(study: Study, work: Work, options: Options) -> str:
    """What is trained and how; ``study`` with the options applied."""
    protocol = study.protocol
    size, rate = protocol.batch_sizes[-1], protocol.learning_rates[-1]
    one = f"batch {size}, learning rate {rate:g}"
    chosen = f"best of {len(crossval.grid(protocol))} settings by {protocol.folds} folds" if protocol.grid else one
    parts = [f"preset {study.network.preset}, {protocol.epochs} epochs, {chosen}, {len(work.tasks)} tasks"]
    if work.search:
        wanted = study.search
        parts.append(
            f"search by method {wanted.method}: {len(work.search.tasks)} tasks, "
            f"sets of {min(wanted.largest, len(work.search.tasks))} at most, "
            f"{_counted(wanted.folds or protocol.folds, 'fold')}"
        )
    if work.tim:
        parts.append(f"TIM by method {study.tim.method}: {_tim(study, len(work.tim.tasks))}")
    return "; ".join(parts)


def _tim(study: Study, count: int) -> str:
    options = study.tim
    parts = [f"{count} tasks", _counted(options.folds, "fold"), _counted(options.replicates, "replicate")]
    if options.method == "shared":
        parts.append(f"{sets_wanted(count, tim.settings(options))} sets for each of them")
    if options.method != "pairs":
        parts.append(f"inclusion {options.inclusion:g}")
        parts.append("no limit" if options.limit is None else f"sets of {min(options.limit, count)} at most")
    return ", ".join(parts)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
