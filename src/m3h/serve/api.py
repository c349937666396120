"""The JSON answers: everything the pages can do."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from m3h.serve import asked, openapi, patient_view, run_view
from m3h.serve.answers import as_json
from m3h.serve.cohort import Cohort, table
from m3h.serve.served import Served
from m3h.serve.sessions import Session
from m3h.serve.uploads import read_file, read_rows


def description(request: Request) -> Response:
    """What can be asked, in OpenAPI 3.1."""
    return as_json(openapi.describe(asked.served(request), locked=request.app.state.locked))


def run(request: Request) -> Response:
    """The run at a glance."""
    return as_json(run_view.about(asked.served(request)))


def tasks(request: Request) -> Response:
    """All tasks with their headline scores."""
    return as_json({"tasks": run_view.tasks(asked.served(request))})


def task(request: Request) -> Response:
    """One task."""
    return as_json(run_view.task(asked.served(request), request.path_params["task"]))


def interactions(request: Request) -> Response:
    """TIM and attention."""
    return as_json(run_view.interactions(asked.served(request)))


def worklist(request: Request) -> Response:
    """Patients in order of an answer."""
    order = asked.order(request)
    served, session = asked.served(request), asked.session(request)
    return as_json(patient_view.worklist(served, session, order.of, order.task, **order.given))


def patient(request: Request) -> Response:
    """One patient."""
    number, of = asked.number(request), asked.origin(request)
    return as_json(patient_view.patient(asked.served(request), asked.session(request), of, number))


def drivers(request: Request) -> Response:
    """What drove an answer for one patient."""
    served, query = asked.served(request), request.query_params
    return as_json(
        patient_view.drivers(
            served,
            asked.session(request),
            asked.origin(request),
            asked.number(request),
            query.get("task") or served.model.tasks[0].name,
            query.get("class") or None,
        )
    )


async def what_if(request: Request) -> Response:
    """The answers for one patient with some values changed."""
    served, session = asked.served(request), asked.session(request)
    changes = asked.changes(await asked.json_object(request, served.limits))
    of, number = asked.origin(request), asked.number(request)
    return as_json(await run_in_threadpool(patient_view.what_if, served, session, of, number, changes))


async def predict(request: Request) -> Response:
    """New patients, as rows in JSON or as a file; they become the session's upload."""
    served, session = asked.served(request), asked.session(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
        rows = asked.rows(await asked.json_object(request, served.limits))
        read = await run_in_threadpool(read_rows, served.model, served.store, rows, served.limits, served.weights)
    else:
        async with asked.upload(request) as (file, name):
            given = (served.model, served.store, file, name, served.limits, served.weights)
            read = await run_in_threadpool(read_file, *given)
    return as_json(await run_in_threadpool(_predicted, served, session, read))


def _predicted(served: Served, session: Session, read: Cohort) -> dict[str, Any]:
    session.take(read)
    return {
        "samples": len(read),
        "patients": len(set(read.patients.tolist())),
        "tasks": [one.name for one in served.model.tasks],
        "notes": list(read.notes),
        "predictions": table(served.model, read).to_dicts(),
    }


def predictions(request: Request) -> Response:
    """All answers for the run's patients, or the session's, as m3h predict writes them."""
    served = asked.served(request)
    cohort = served.patients(asked.session(request), asked.origin(request))
    return Response(table(served.model, cohort).write_csv().encode(), media_type="text/csv")


def forget(request: Request) -> Response:
    """The session's upload is forgotten."""
    session = asked.session(request)
    there = session.upload is not None
    session.take(None)
    return as_json({"forgotten": there})
