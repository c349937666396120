"""The ledger: finished trials in one SQLite file that commands and processes share."""

from m3h.experiments.ledger.ledger import Ledger

__all__ = ["Ledger"]
