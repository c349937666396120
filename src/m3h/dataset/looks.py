"""What the audit wants to know of a study's tables and texts while they can be read: counts and scores, no values."""

from __future__ import annotations

from typing import Any

from threadpoolctl import threadpool_limits

from m3h.dataset.afterwards import computed_afterwards
from m3h.dataset.beside import told_beside
from m3h.dataset.dataset import Dataset
from m3h.dataset.given import codes_among_inputs
from m3h.dataset.times import undeclared_times
from m3h.dataset.words import word_scores
from m3h.hospital.inputs import read_source
from m3h.hospital.samples import SampleTable
from m3h.hospital.sources import Texts
from m3h.hospital.tables import Tables
from m3h.study.spec import Study


def look(tables: Tables, study: Study, samples: SampleTable, dataset: Dataset) -> dict[str, Any]:
    """JSON data for ``Dataset.facts["tables"]``; ``dataset`` is the finished one.

    "times" (m3h.dataset.times), "after" (m3h.dataset.afterwards), "beside" (m3h.dataset.beside), "codes"
    (m3h.dataset.given), and "words", source -> scores (m3h.dataset.words).
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
    return {
        "times": undeclared_times(tables, study, samples),
        "after": computed_afterwards(tables, study, samples, dataset),
        "beside": told_beside(tables, study, samples, dataset),
        "codes": codes_among_inputs(tables, study, samples),
        "words": words,
    }
