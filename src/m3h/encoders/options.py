"""Encoder options: what a study may write into ``options = {...}``, and an encoder made of it."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, Literal

from m3h.core.errors import Problem, SettingError, WeightsError, nearest
from m3h.core.registry import ENCODERS
from m3h.encoders.block import Encoder
from m3h.study.lines import Places
from m3h.study.spec import Source, Study


def make(source: Source) -> Encoder[Any]:
    """The encoder of a source, with its options set; lists become tuples.

    Errors: SettingError for an unknown encoder or options that do not fit; WeightsError for an encoder whose
    pretrained weights are not on this machine.
    """
    maker = ENCODERS.load(source.encoder_name)
    mistakes = _mistakes(maker, source)
    if mistakes:
        raise SettingError("\n".join(mistakes), where=f'source "{source.name}"')
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in source.options.items()}
    encoder: Encoder[Any] = maker(**values)
    return encoder


def problems(study: Study) -> list[Problem]:
    """Unknown, ill-typed or impossible options of each source's encoder, in the order of the study.

    Reads no data. An encoder name that does not exist is reported elsewhere (m3h.hospital.check) and skipped here; so
    are pretrained weights that are missing, which :func:`make` reports.
    """
    places = Places.of(study)
    found: list[Problem] = []
    for source in study.sources:
        if source.encoder_name not in ENCODERS:
            continue
        mistakes = _mistakes(ENCODERS.load(source.encoder_name), source)
        found += [Problem(places.source(source.name, "options"), message) for message in mistakes]
        if not mistakes:
            found += [Problem(places.source(source.name, "options"), message) for message in _impossible(source)]
    return found


def require_at_least(least: int, **options: int) -> None:
    """Refuse numbers below ``least``; for the constructors of encoders. Errors: SettingError naming the option."""
    for name, value in options.items():
        if value < least:
            raise SettingError(f"options.{name} is too small", got=str(value), expected=f"at least {least}")


def _impossible(source: Source) -> list[str]:
    """What the encoder itself says against values whose types fit."""
    try:
        make(source)
    except SettingError as error:
        return [str(error).replace("\n  ", "; ")]
    except WeightsError:
        # not a mistake of the file; whoever encodes the source gets the whole message
        return []
    return []


def _mistakes(maker: Any, source: Source) -> list[str]:
    """A message for each option that the encoder does not know or whose type does not fit."""
    hints = typing.get_type_hints(maker)
    known = {field.name: hints[field.name] for field in dataclasses.fields(maker) if field.init}
    found = []
    for name, value in source.options.items():
        if name not in known:
            hint = nearest(name, known) if known else "; this encoder has no options"
            found.append(f'encoder "{source.encoder_name}" has no option "{name}"{hint}')
        elif not _fits(value, known[name]):
            found.append(f"options.{name}: got {_shown(value)}, expected {_described(known[name])}")
    return found


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value as TOML gives it fits an annotation; annotations that TOML has no word for accept anything."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Literal:
        return any(value == part and type(value) is type(part) for part in parts)
    if origin is tuple:
        return isinstance(value, (list, tuple)) and all(_fits(item, parts[0]) for item in value)
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in (str, bool, types.NoneType):
        return isinstance(value, kind)
    return True


def _described(kind: Any) -> str:
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_described(part) for part in parts)
    if origin is Literal:
        return " or ".join(repr(part) for part in parts)
    if origin is tuple:
        return f"a list, each item {_described(parts[0])}"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", types.NoneType: "nothing"}
    return words.get(kind, str(kind))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
