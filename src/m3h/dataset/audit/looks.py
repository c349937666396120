"""What the audit wants to know of a study's tables and texts while they can be read: counts and scores, no values."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from m3h.dataset.audit.afterwards import computed_afterwards, training_rows
from m3h.dataset.audit.beside import told_beside
from m3h.dataset.audit.coded_inputs import codes_among_inputs
from m3h.dataset.audit.excerpt import excerpt
from m3h.dataset.audit.times import rows_of, some_rows, undeclared_times
from m3h.dataset.audit.words import word_scores
from m3h.dataset.dataset import Dataset
from m3h.hospital.inputs import read_source
from m3h.hospital.samples import SampleTable
from m3h.hospital.sources import Texts
from m3h.hospital.tables import Tables
from m3h.study.spec import Study

#: The rows of the samples that are looked at are kept apart where these are at most one of so many.
FEW = 2


def look(tables: Tables, study: Study, samples: SampleTable, dataset: Dataset) -> dict[str, Any]:
    """JSON data for ``Dataset.facts["tables"]``; ``dataset`` is the finished one.

    "times", "after", "beside" and "codes" are what modules times, afterwards, beside and coded_inputs find, "words" the
    scores by source of module words.
    """
    with threadpool_limits(limits=1):  # sums in another number of threads round otherwise
        return _looked(tables, study, samples, dataset)


def _looked(tables: Tables, study: Study, samples: SampleTable, dataset: Dataset) -> dict[str, Any]:
    words = {}
    for source in study.sources:
        if source.read_as == "language":
            texts = read_source(tables, study, samples, source)
            assert isinstance(texts, Texts)
            words[source.name] = word_scores(dataset, texts)
    # in a long table the samples that are looked at have few of the rows
    rows = np.union1d(some_rows(samples), training_rows(dataset))
    few = FEW * len(rows) <= len(samples)
    with excerpt(tables, study, rows_of(samples, rows)) if few else nullcontext():
        return {
            "times": undeclared_times(tables, study, samples),
            "after": computed_afterwards(tables, study, samples, dataset),
            "beside": told_beside(tables, study, samples, dataset),
            "codes": codes_among_inputs(tables, study, samples),
            "words": words,
        }
