"""How much a stranger may ask of this server; and the refusals that say so."""

from __future__ import annotations

from dataclasses import dataclass

from m3h.core.errors import M3HError

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Bounds of what is sent here, in bytes where nothing else is said.

    ``body`` of a request; of a zip file its ``entries``, the ``unpacked`` size of all of them (of a compressed table as
    well) and the ``ratio`` of unpacked to packed; ``cells`` and ``rows`` of a Parquet file, whose size says nothing of
    them; ``json_body`` and ``json_rows`` of a request in JSON. A session that is ``idle`` for so many seconds is
    forgotten; so are those used longest ago beyond ``sessions``.
    """

    body: int = 200 * MEGABYTE
    entries: int = 50_000
    unpacked: int = 2000 * MEGABYTE
    ratio: float = 200.0
    cells: int = 200_000_000
    rows: int = 20_000_000
    json_body: int = 20 * MEGABYTE
    json_rows: int = 10_000
    idle: float = 1800.0
    sessions: int = 500


class Refusal(M3HError):
    """What is asked cannot be had, for a reason that the asker can mend; ``status`` is that of the answer."""

    def __init__(
        self,
        what: str,
        *,
        status: int = 422,
        where: str | None = None,
        expected: str | None = None,
        next_step: str | None = None,
    ) -> None:
        super().__init__(what, where=where, expected=expected, next_step=next_step)
        self.status = status


def size(count: float) -> str:
    """Bytes for people: ``200 MB``."""
    return f"{count / MEGABYTE:,.0f} MB" if count >= MEGABYTE else f"{count:,.0f} bytes"
