"""Values of a TOML table as the fields of a spec: types are checked, nothing is converted behind the user's back."""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from m3h.core.errors import nearest

Report = Callable[[str, str], None]  # (key, message)


class Mistake(Exception):
    """A value does not fit its field; the text says what would."""


def take(
    spec: type, table: Mapping[str, Any], report: Report, *, allowed: Iterable[str] | None = None
) -> dict[str, Any]:
    """The values of ``table`` that fit the fields of ``spec``; what does not fit is reported and left out.

    ``allowed`` names the keys that may stand there (default: all fields); another key is reported with its nearest.
    """
    hints = get_type_hints(spec)
    known = tuple(hints if allowed is None else allowed)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            report(key, f'unknown key "{key}"{nearest(key, known)}')
            continue
        try:
            values[key] = fit(hints[key], value)
        except Mistake as mistake:
            report(key, f"{key}: {mistake}")
    return values


def fit(hint: Any, value: Any) -> Any:
    """``value`` as a field of type ``hint`` holds it. Errors: Mistake."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _fit_union(arguments, value)
    if origin is Literal:
        return _fit_literal(arguments, value)
    if origin is tuple:
        if not isinstance(value, list):
            raise Mistake(f"got {_kind(value)}, expected a list of {_plural(arguments[0])}")
        return tuple(fit(arguments[0], item) for item in value)
    if origin is dict:
        return _fit_mapping(arguments[1], value)
    return _fit_plain(hint, value)


def _fit_plain(hint: Any, value: Any) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(value, bool) and hint is not bool:
        raise Mistake(f"got {_kind(value)}, expected {_names(hint)}")
    if not isinstance(value, hint):
        raise Mistake(f"got {_kind(value)}, expected {_names(hint)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise Mistake(f"got {value}, expected a finite number")
    return value


def _fit_union(arguments: tuple[Any, ...], value: Any) -> Any:
    mistakes = []
    for hint in arguments:
        if hint is type(None):
            continue
        try:
            return fit(hint, value)
        except Mistake as mistake:
            mistakes.append(str(mistake))
    raise Mistake(", or ".join(dict.fromkeys(mistakes)))


def _fit_literal(known: tuple[Any, ...], value: Any) -> Any:
    if isinstance(value, str) and value in known:
        return value
    if isinstance(value, str):
        raise Mistake(f'unknown "{value}"{nearest(value, known)}')
    raise Mistake(f"got {_kind(value)}, expected one of {', '.join(known)}")


def _fit_mapping(hint: Any, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Mistake(f'got {_kind(value)}, expected a table such as {{ "name" = ... }}')
    return {key: item if hint is Any else fit(hint, item) for key, item in value.items()}


def _names(hint: Any) -> str:
    return {str: "text", int: "a whole number", float: "a number", bool: "true or false"}.get(hint, str(hint))


def _plural(hint: Any) -> str:
    return {str: "texts", int: "whole numbers", float: "numbers"}.get(hint, str(hint))


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a table"}
    return kinds.get(type(value), "a date or time")
