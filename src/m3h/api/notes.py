"""What whoever asked should know of a command's settings: harmless, but not silent."""

from __future__ import annotations

from m3h.api import search, tim
from m3h.api.engine import memory_notes
from m3h.api.options import Options
from m3h.api.scorable import PARTS, unscorable
from m3h.api.work import Work, making, plain_trials
from m3h.dataset.dataset import Dataset
from m3h.experiments.pool import Pool
from m3h.experiments.tim.settings import largest
from m3h.study.spec import Study
from m3h.training.trial import Trial


def notes(study: Study, data: Dataset, work: Work, options: Options) -> list[str]:
    """Settings without effect, sources that a pool keeps from tasks, and too little memory; each a sentence."""
    found = [text for part, pool in work.pools.items() for text in _kept(data, part, pool)]
    if work.search:
        found += search.notes(work.search, study.search)
    if work.tim:
        found += tim.notes(work.tim, study.tim)
    return found + memory_notes(data, _largest(study, data, work, options), options.memory)


def _largest(study: Study, data: Dataset, work: Work, options: Options) -> list[Trial]:
    """Trials that hold as many tasks as any that the command trains."""
    maker = making(study, data, options)
    found = [trial for some in plain_trials(work, maker, options).values() for trial in some]
    if work.search:
        found.append(maker.final(work.search.tasks[: study.search.largest], work.search.sources))
    if work.tim:
        most = largest(len(work.tim.tasks), tim.settings(study.tim))
        found.append(maker.jointly().final(work.tim.tasks[:most], work.tim.sources))
    return found


def cautions(study: Study, data: Dataset, work: Work) -> list[str]:
    """What a search or TIM will not be able to tell: tasks that none of the validation folds in use can score, and
    what m3h.api.tim says of its design; each a sentence."""
    found = tim.cautions(work.tim, study.tim, study.seed) if work.tim else []
    used = {"search": study.search.folds or study.protocol.folds, "tim": study.tim.folds}
    for part, pool in work.pools.items():
        found += unscorable(data, pool, part, used=used[part], count=study.protocol.folds)
    return found


def _kept(data: Dataset, part: str, pool: Pool) -> list[str]:
    free = [task for task in pool.tasks if data.sources_for((task,)) != pool.sources]
    if not free:
        return []
    kept = [source for source in data.blocks if source not in pool.sources]
    return [
        f"{PARTS[part]} compares tasks that exclude different sources, so {', '.join(kept)} "
        f"{'is' if len(kept) == 1 else 'are'} kept from all of them: {', '.join(pool.tasks)}"
    ]
