"""Rules and names that are data, not code: read with importlib.resources.

``diseases.csv`` and ``operations.csv`` are the paper's questions (:mod:`m3h.hospital.catalog.tasks`),
``paper-results.csv`` what it reached (:mod:`m3h.hospital.catalog.paper`), ``signals.csv`` MIMIC-IV's series
(:mod:`m3h.hospital.catalog.signals`), ``indiana.toml`` the built-in study.
"""
