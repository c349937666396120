from __future__ import annotations

from pathlib import Path

from m3h.hospital.catalog.tasks import THORACIC
from m3h.hospital.mimic.tables import text
from m3h.hospital.tables import connect


def test_the_eight_findings_are_those_of_the_catalog(tmp_path: Path) -> None:
    """The class of an image by SQL, finding by finding, beside the catalog's list."""
    with connect(tmp_path) as connection:
        connection.execute(text("words.sql").partition("-- Whose a row")[0])
        for place, name in enumerate(THORACIC):
            values = ", ".join("1" if other == place else "-1" for other in range(len(THORACIC)))
            assert connection.execute(f"SELECT thoracic_class({values})").fetchone() == (name,)
