"""What a request asks for: its words and numbers, and what it carries, each refused if it does not fit."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

from starlette.datastructures import UploadFile
from starlette.requests import Request

from m3h.serve import patient_view as view
from m3h.serve.cohort import Of
from m3h.serve.edits import Value
from m3h.serve.limits import Limits, Refusal, size
from m3h.serve.served import Served
from m3h.serve.sessions import Session

_WHOLE = re.compile(r"[0-9]{1,9}")
#: Letters of a value that somebody writes into a field.
_LONGEST = 10_000
_FIELDS = 5_000


def served(request: Request) -> Served:
    """What this server holds."""
    found = request.app.state.served
    assert isinstance(found, Served)
    return found


def session(request: Request) -> Session:
    """Whose request it is."""
    found = request.state.session
    assert isinstance(found, Session)
    return found


def origin(request: Request) -> Of:
    """Which patients are meant. Errors: Refusal."""
    given = request.query_params.get("of", "run")
    if given == "run":
        return "run"
    if given == "upload":
        return "upload"
    raise Refusal("of says whose patients are meant", expected="run or upload")


def whole(text: str, name: str, default: int | None = None) -> int:
    """A whole number from 0; ``default`` where nothing is given. Errors: Refusal."""
    if not text and default is not None:
        return default
    if _WHOLE.fullmatch(text) is None or not text.isascii():
        raise Refusal(f"{name} is a whole number", expected="such as 1")
    return int(text)


def number(request: Request) -> int:
    """The patient's number in the path. Errors: Refusal."""
    return whole(str(request.path_params["number"]), "the number of a patient")


@dataclass(frozen=True)
class Order:
    """Which part of a work list is asked for, and in which order."""

    of: Of
    task: str
    outcome: str | None
    sort: str
    descending: bool
    page: int
    size: int

    @property
    def given(self) -> dict[str, Any]:
        """As m3h.serve.patient_view.worklist takes it."""
        return {
            "outcome": self.outcome,
            "sort": self.sort,
            "descending": self.descending,
            "page": self.page,
            "size": self.size,
        }


def order(request: Request) -> Order:
    """The order asked for; the first task, the highest value first. Errors: Refusal."""
    query = request.query_params
    direction = query.get("order", "desc")
    if direction not in ("asc", "desc"):
        raise Refusal("order is a direction", expected="asc or desc")
    return Order(
        origin(request),
        query.get("task") or served(request).model.tasks[0].name,
        query.get("class") or None,
        query.get("sort", "value"),
        direction == "desc",
        whole(query.get("page", ""), "page", 1),
        whole(query.get("size", ""), "size", view.PAGE),
    )


async def fields(request: Request) -> dict[str, str]:
    """The fields of a form that was sent, without files. Errors: those of Starlette, 400; Refusal (413)."""
    async with request.form(max_files=0, max_fields=_FIELDS, max_part_size=100_000) as form:
        return {name: str(value) for name, value in form.items()}


@contextlib.asynccontextmanager
async def upload(request: Request) -> AsyncIterator[tuple[BinaryIO, str]]:
    """The file of a form and its name, which is open for the time of the block. Errors: Refusal where there is none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise Refusal(
            "no form with a file was sent", status=415, expected="multipart/form-data with a field named file"
        )
    async with request.form(max_files=1, max_fields=_FIELDS, max_part_size=100_000) as form:
        found = form.get("file")
        if not isinstance(found, UploadFile) or not found.filename or not found.size:
            raise Refusal("no file was sent", expected="a file that is not empty, in the field named file")
        yield found.file, found.filename


async def json_object(request: Request, limits: Limits) -> Mapping[str, Any]:
    """The JSON object that was sent. Errors: Refusal."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limits.json_body:
            raise Refusal("too much JSON", status=413, expected=f"at most {size(limits.json_body)}; or send a file")
    try:
        content = json.loads(body, parse_constant=_no_number)
        # a half of a pair of surrogates is no text that could be written anywhere
        json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Refusal("what was sent is not JSON", status=400, expected="a JSON object in UTF-8") from error
    if not isinstance(content, dict):
        raise Refusal("what was sent is no JSON object", expected="an object")
    return content


def _no_number(text: str) -> NoReturn:
    raise ValueError("JSON has no NaN and no infinity")


def rows(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of a request in JSON. Errors: Refusal."""
    found = content.get("rows")
    if not isinstance(found, list) or set(content) != {"rows"}:
        raise Refusal("no rows were sent", expected='{"rows": [{"column": value, ...}, ...]}')
    return found


def changes(content: Mapping[str, Any]) -> dict[str, Value]:
    """The edited values of a request in JSON. Errors: Refusal."""
    found = content.get("values")
    if not isinstance(found, dict) or set(content) != {"values"}:
        raise Refusal("no values were sent", expected='{"values": {"column": value, ...}}')
    return {name: _value(value) for name, value in found.items()}


def _value(value: Any) -> Value:
    if value is None or isinstance(value, str):
        if value is not None and len(value) > _LONGEST:
            raise Refusal("a value is too long", expected=f"at most {_LONGEST:,} letters")
        return value or None
    try:
        if isinstance(value, (bool, int, float)):
            return float(value)
    except OverflowError:
        raise Refusal("a number is too large", expected="at most 3.4e38 in size") from None
    raise Refusal("a value is a list or an object", expected="a text, a number, true, false or null")
