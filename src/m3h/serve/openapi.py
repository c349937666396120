"""What the API can be asked, in OpenAPI 3.1: names of tasks and the count of patients are those of the run served."""

from __future__ import annotations

from typing import Any

from m3h import __version__
from m3h.serve import patient_view as view
from m3h.serve.edits import Column
from m3h.serve.served import Served

Schema = dict[str, Any]

_NUMBER: Schema = {"type": ["number", "null"]}
_TEXT: Schema = {"type": "string"}
_MAYBE: Schema = {"type": ["string", "null"]}
_WHOLE: Schema = {"type": "integer"}
_FLAG: Schema = {"type": ["boolean", "null"]}


def describe(served: Served, *, locked: bool) -> Schema:
    """The description; ``locked``: a token is asked for."""
    found: Schema = {
        "openapi": "3.1.0",
        "info": {
            "title": f"m3h serve: {served.title}",
            "version": __version__,
            "description": "Scores, patients and forecasts of one run. Patients have numbers that hold for the session "
            "of the cookie m3h_session alone; keep the cookie. Research software, not a medical device.",
        },
        "servers": [{"url": "/"}],
        "paths": _paths(served),
        "components": {"schemas": _schemas()},
    }
    if locked:
        found["components"]["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer"},
            "session": {"type": "apiKey", "in": "cookie", "name": "m3h_session"},
        }
        found["security"] = [{"token": []}, {"session": []}]
    return found


def _paths(served: Served) -> Schema:
    tasks = [task.name for task in served.model.tasks]
    task = {"type": "string", "enum": tasks}
    classes = sorted(
        {name for one in served.model.tasks if one.kind == "multiclass" for name in served.model.classes[one.name]}
    )
    of = _query("of", {"type": "string", "enum": ["run", "upload"], "default": "run"}, "whose patients")
    # of several tasks, only the one of that class has it: an own word for each would be a path for each
    outcome = _query(
        "class", {"type": "string", "enum": classes or [""]}, "class of a task of several; its first if left out"
    )
    most = max(1, len(served.cohort or ()))
    number = {
        "name": "number",
        "in": "path",
        "required": True,
        "description": "the patient's number in this session",
        "schema": {"type": "integer", "minimum": 1, "maximum": most},
    }
    wanted = _query("task", task, "the task; the first if left out")
    return {
        "/api/openapi.json": {"get": _operation("description", "This description", {"type": "object"})},
        "/api/run": {"get": _operation("run", "The run at a glance", _ref("Run"))},
        "/api/tasks": {"get": _operation("tasks", "All tasks with their headline scores", _listing("tasks", "Task"))},
        "/api/tasks/{task}": {
            "get": _operation(
                "task",
                "Scores, differences, interactions and distribution of one task",
                _ref("TaskDetail"),
                [{"name": "task", "in": "path", "required": True, "schema": task}],
            )
        },
        "/api/interactions": {"get": _operation("interactions", "TIM and attention", _ref("Interactions"))},
        "/api/worklist": {
            "get": _operation(
                "worklist",
                "Patients in order of an answer",
                _ref("Worklist"),
                [
                    of,
                    wanted,
                    outcome,
                    _query("sort", {"type": "string", "enum": list(view.SORTS), "default": "value"}, "column"),
                    _query("order", {"type": "string", "enum": ["asc", "desc"], "default": "desc"}, "direction"),
                    _query("page", {"type": "integer", "minimum": 1, "maximum": view.LAST, "default": 1}, "page"),
                    _query(
                        "size", {"type": "integer", "minimum": 1, "maximum": view.MOST, "default": view.PAGE}, "rows"
                    ),
                ],
            )
        },
        "/api/patients/{number}": {"get": _operation("patient", "One patient", _ref("Patient"), [number, of])},
        "/api/patients/{number}/drivers": {
            "get": _operation("drivers", "What drove an answer", _ref("Drivers"), [number, of, wanted, outcome])
        },
        "/api/patients/{number}/what-if": {
            "post": _operation(
                "whatIf",
                "The answers with some values changed",
                _ref("WhatIf"),
                [number, of],
                _body(_edits(served.columns)),
            )
        },
        "/api/predict": {
            "post": _operation(
                "predict", "New patients, as rows or as a file", _ref("Predicted"), [], _predict_body(served)
            )
        },
        "/api/predictions.csv": {
            "get": _operation("predictions", "All answers as m3h predict writes them", _TEXT, [of], kind="text/csv")
        },
        "/api/upload": {
            "delete": _operation("forget", "Forget the session's upload", _object(forgotten={"type": "boolean"}))
        },
    }


def _operation(
    name: str,
    summary: str,
    schema: Schema,
    parameters: list[Schema] | None = None,
    body: Schema | None = None,
    *,
    kind: str = "application/json",
) -> Schema:
    refusal = {"description": "Not as asked", "content": {"application/json": {"schema": _ref("Refusal")}}}
    found: Schema = {
        "operationId": name,
        "summary": summary,
        "parameters": parameters or [],
        "responses": {
            "200": {"description": "Done", "content": {kind: {"schema": schema}}},
            **{status: refusal for status in ("400", "401", "403", "404", "409", "413", "415", "422", "503")},
        },
    }
    return found | ({"requestBody": body} if body else {})


def _query(name: str, schema: Schema, about: str) -> Schema:
    return {"name": name, "in": "query", "required": False, "description": about, "schema": schema}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _listing(name: str, of: str) -> Schema:
    return _object(**{name: {"type": "array", "items": _ref(of)}})


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _body(schema: Schema) -> Schema:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _value(column: Column) -> Schema:
    """What fits a column of the study."""
    if column.categories is not None:
        return {"enum": [*column.categories, "unknown", None]}
    return {"type": ["number", "null"], "minimum": -1e38, "maximum": 1e38}


def _edits(columns: tuple[Column, ...]) -> Schema:
    values = {column.name: _value(column) for column in columns}
    inner: Schema = {"type": "object", "properties": values, "additionalProperties": False, "minProperties": 1}
    return {"type": "object", "properties": {"values": inner}, "required": ["values"], "additionalProperties": False}


def _predict_body(served: Served) -> Schema:
    study = served.model.study
    own = {source.name for source in study.sources if not source.own_table}
    row: Schema = {column.name: _value(column) for column in served.columns if set(column.sources) & own}
    rows = {
        "type": "array",
        "minItems": 1,
        "maxItems": served.limits.json_rows,
        "items": {"type": "object", "properties": row, "additionalProperties": False, "minProperties": 1},
    }
    sent = {"type": "object", "properties": {"rows": rows}, "required": ["rows"], "additionalProperties": False}
    file = _object(file={"type": "string", "contentMediaType": "application/octet-stream"})
    made = _body(sent)
    made["content"]["multipart/form-data"] = {"schema": file}
    return made


def _schemas() -> Schema:
    score = _object(n=_WHOLE, value=_NUMBER, low=_NUMBER, high=_NUMBER)
    named = {"task": _TEXT, "title": _TEXT, "kind": _TEXT, "unit": _TEXT}
    many: Schema = {"type": "array", "items": {"type": "object"}}
    texts: Schema = {"type": "array", "items": _TEXT}
    answer = {"value": _NUMBER, "low": _NUMBER, "high": _NUMBER, "percentile": _NUMBER, "calibrated": _FLAG}
    who = {"number": _WHOLE, "sample": _TEXT, "patient": _TEXT}
    driver = _object(kind={"enum": ["source", "column"]}, name=_TEXT, said=_NUMBER, without=_NUMBER, change=_NUMBER)
    after = _object(**named, **{"class": _MAYBE}, before=_NUMBER, after=_NUMBER, change=_NUMBER)
    beside = {"calibrated": _NUMBER, "low": _NUMBER, "high": _NUMBER, "possible": _FLAG}
    prediction = _object(sample=_TEXT, patient=_TEXT, task=_TEXT, **{"class": _TEXT}, prediction=_NUMBER, **beside)
    task: Schema = {"scores": {"type": "object", "additionalProperties": score}, "metric": _TEXT}
    return {
        "Refusal": {
            "type": "object",
            "properties": {name: _TEXT for name in ("error", "where", "got", "expected", "next_step")},
            "required": ["error"],
            "additionalProperties": False,
        },
        "Run": _object(name=_TEXT, title=_TEXT, preset=_TEXT, tasks={"type": "array", "items": _ref("Task")}),
        "Task": _object(**named, **task),
        "TaskDetail": _object(**named, scores=many, differences=many, interactions=many, attention=many),
        "Interactions": _object(tim=many, attention=many, about=texts, caution=_TEXT),
        "Worklist": _object(
            of=_TEXT, task=_TEXT, total=_WHOLE, page=_WHOLE, pages=_WHOLE, rows=_array(_object(**who, **answer))
        ),
        "Patient": _object(**who, of=_TEXT, answers=_array(_object(**named, **answer)), columns=many, sources=many),
        "Drivers": _object(task=_TEXT, method=_TEXT, drivers=_array(driver)),
        "WhatIf": _object(values={"type": "object"}, answers=_array(after)),
        "Predicted": _object(samples=_WHOLE, patients=_WHOLE, tasks=texts, notes=texts, predictions=_array(prediction)),
    }


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}
