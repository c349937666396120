"""SQL expressions shared by all readers, so that a value means the same in CSV and Parquet and in every table."""

from __future__ import annotations

_SIGNED = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_INTEGERS = frozenset([*_SIGNED, *(f"U{kind}" for kind in _SIGNED)])
_FLOATS = frozenset({"FLOAT", "DOUBLE"})
_BLANKS = "' ' || chr(9) || chr(10) || chr(13)"


def quoted(name: str) -> str:
    """A column's or table's name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def is_text(kind: str) -> bool:
    """Whether a column of this type holds texts."""
    return kind == "VARCHAR" or kind.startswith("ENUM")


def fits_bigint(kind: str) -> bool:
    """Whether a column of this type holds whole numbers of at most 64 bits, with a sign."""
    return kind in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")


def is_float(kind: str) -> bool:
    """Whether a column of this type can hold NaN and infinities."""
    return kind in _FLOATS


def is_number(kind: str) -> bool:
    """Whether a column of this type holds numbers (or true/false)."""
    return kind in _INTEGERS or kind in _FLOATS or kind == "BOOLEAN" or kind.startswith("DECIMAL")


def filled(column: str) -> str:
    """A text without blanks around it; NULL where nothing is left."""
    return f"nullif(trim(CAST({column} AS VARCHAR), {_BLANKS}), '')"


def key_text(column: str, kind: str) -> str:
    """An id, key or code as text: whole numbers without ".0" whatever their type, NULL where empty.

    A table saved with a missing id turns 17 into 17.0; it is the same id.
    """
    if kind in _INTEGERS:
        return f"CAST({column} AS VARCHAR)"
    if kind in _FLOATS:
        whole = f"CAST(CAST({column} AS BIGINT) AS VARCHAR)"
        return (
            f"CASE WHEN {column} IS NULL OR isnan({column}) THEN NULL "
            f"WHEN abs({column}) < 9e15 AND {column} = trunc({column}) THEN {whole} "
            f"ELSE CAST({column} AS VARCHAR) END"
        )
    return rf"regexp_replace({filled(column)}, '^(-?[0-9]+)\.0+$', '\1')"


def number(column: str, kind: str) -> str:
    """A column as DOUBLE: NULL where empty, NaN or (in texts) not a number."""
    raw = f"CAST({column} AS DOUBLE)" if is_number(kind) else f"TRY_CAST({filled(column)} AS DOUBLE)"
    return f"(CASE WHEN isnan({raw}) THEN NULL ELSE {raw} END)"


def not_number(column: str, kind: str) -> str:
    """Whether a text is there that is not a number."""
    if is_number(kind):
        return "false"
    return f"({filled(column)} IS NOT NULL AND TRY_CAST({filled(column)} AS DOUBLE) IS NULL)"
