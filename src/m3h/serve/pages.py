"""The pages: each asks a view for plain values and shows them; everything works without scripts."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from m3h.core.errors import M3HError
from m3h.serve import asked, edits, figures, patient_view, run_view
from m3h.serve.answers import REPORT_CSP, link, page, told
from m3h.serve.cohort import table
from m3h.serve.guard import Access, cookie
from m3h.serve.limits import Refusal, size
from m3h.serve.served import Served
from m3h.serve.uploads import read_file

#: Seconds that a wrong token takes.
_WRONG = 0.3


def run(request: Request) -> Response:
    """The run at a glance."""
    return page(request, "run.html", about=run_view.about(asked.served(request)))


def report(request: Request) -> Response:
    """The run's report, in a sandbox of its own. Errors: Refusal where the run has none."""
    file = asked.served(request).run / "report.html"
    if not file.is_file():
        raise Refusal("this run has no report", status=404, next_step="m3h report writes it")
    return Response(file.read_bytes(), headers={"content-security-policy": REPORT_CSP}, media_type="text/html")


def task(request: Request) -> Response:
    """One task."""
    served = asked.served(request)
    found = run_view.task(served, request.path_params["task"])
    spread = found["distribution"]
    figure = figures.distribution(spread, percent=found["kind"] == "binary", unit=found["unit"]) if spread else None
    return page(request, "task.html", task=found, figure=figure, cohort=served.cohort)


def interactions(request: Request) -> Response:
    """TIM and attention, to be explored."""
    found = run_view.interactions(asked.served(request))
    tim = run_view.matrix(found["tim"], "source", "target", run_view.beside_row(found["tim"]))
    attention = run_view.matrix(found["attention"], "task", "from_task", run_view.share)
    return page(request, "interactions.html", found=found, tim=tim, attention=attention)


def patients(request: Request) -> Response:
    """The work list."""
    served, order = asked.served(request), asked.order(request)
    found = patient_view.worklist(served, asked.session(request), order.of, order.task, **order.given)
    shared = {"of": order.of, "task": order.task, "class": found["class"], "size": order.size}

    def sorted_by(name: str) -> str:
        turned = order.sort == name and order.descending
        return link("/patients", **shared, sort=name, order="asc" if turned else "desc")

    def numbered(number: int) -> str:
        return link("/patients", **shared, sort=order.sort, order=found["order"], page=number)

    return page(
        request,
        "patients.html",
        found=found,
        tasks=run_view.tasks(served),
        sorted_by=sorted_by,
        numbered=numbered,
        place=figures.place,
        uploaded=asked.session(request).upload is not None,
        kept=served.cohort is not None,
    )


def patient(request: Request) -> Response:
    """One patient."""
    return _patient(request)


def _patient(request: Request, changed: dict[str, Any] | None = None, wrong: Any = None, status: int = 200) -> Response:
    """The page of one patient; ``changed`` are what-if answers, ``wrong`` what is wrong with the values given."""
    served, session, of = asked.served(request), asked.session(request), asked.origin(request)
    number = asked.number(request)
    found = patient_view.patient(served, session, of, number)
    task = request.query_params.get("task") or served.model.tasks[0].name
    outcome = request.query_params.get("class") or None
    driven = None
    if found["explained"]:
        driven = patient_view.drivers(served, session, of, number, task, outcome)
    given = (changed or wrong or {}).get("values", {})
    return page(
        request,
        "patient.html",
        status,
        found=found,
        chosen=next(one for one in found["answers"] if one["task"] == served.task(task).name),
        driven=driven,
        changed=changed,
        wrong=wrong,
        given=given,
        place=figures.place,
        field=field,
        here=link(request.url.path, of=of, task=task, **{"class": outcome}),
    )


async def what_if(request: Request) -> Response:
    """One patient with some values changed."""
    return await run_in_threadpool(_what_if, request, await asked.fields(request))


def _what_if(request: Request, form: dict[str, str]) -> Response:
    served, session, of = asked.served(request), asked.session(request), asked.origin(request)
    number = asked.number(request)
    now = {one["name"]: one["value"] for one in patient_view.patient(served, session, of, number)["columns"]}
    given = {one.name: form[f"c{n}"][:1000] for n, one in enumerate(served.columns) if f"c{n}" in form}
    try:
        values = {one.name: edits.parsed(one, given[one.name]) for one in served.columns if one.name in given}
        changes = {name: value for name, value in values.items() if not edits.same(value, now.get(name))}
        changed = patient_view.what_if(served, session, of, number, changes)
    except M3HError as error:
        return _patient(request, wrong=told(error) | {"values": given}, status=422)
    return _patient(request, changed=changed)


def upload(request: Request) -> Response:
    """The page from which tables are sent."""
    return _upload(request)


def _upload(request: Request, wrong: dict[str, str] | None = None, status: int = 200) -> Response:
    served, session = asked.served(request), asked.session(request)
    study = served.model.study
    return page(
        request,
        "upload.html",
        status,
        study=study,
        sources=[one for one in study.sources if one.own_table or one.folder],
        columns=[one for one in study.sources if not one.own_table],
        upload=session.upload,
        limit=size(served.limits.body),
        minutes=f"{served.limits.idle / 60:g}",
        wrong=wrong,
    )


async def send(request: Request) -> Response:
    """Tables that are sent: read, answered, and their patients listed."""
    served, session = asked.served(request), asked.session(request)
    try:
        async with asked.upload(request) as (file, name):
            given = (served.model, served.store, file, name, served.limits, served.weights)
            read = await run_in_threadpool(read_file, *given)
    except M3HError as error:
        wrong = told(error)
        return await run_in_threadpool(_upload, request, wrong, getattr(error, "status", 422))
    session.take(read)
    return RedirectResponse(link("/patients", of="upload"), 303)


def forget(request: Request) -> Response:
    """The session's upload is forgotten."""
    asked.session(request).take(None)
    return RedirectResponse("/upload", 303)


def download(request: Request) -> Response:
    """All answers as CSV, as m3h predict writes them."""
    served = asked.served(request)
    cohort = served.patients(asked.session(request), asked.origin(request))
    headers = {"content-disposition": 'attachment; filename="forecasts.csv"'}
    return Response(table(served.model, cohort).write_csv().encode(), headers=headers, media_type="text/csv")


def login(request: Request) -> Response:
    """The page that asks for the token."""
    return page(request, "login.html", wrong=False)


async def log_in(request: Request) -> Response:
    """Who gives the token gets a session that is trusted."""
    served: Served = asked.served(request)
    access: Access = request.app.state.access
    given = (await asked.fields(request)).get("token", "")
    if not access.fits(given):
        await asyncio.sleep(_WRONG)
        return page(request, "login.html", 401, wrong=True)
    new = served.sessions.start(trusted=True)
    return RedirectResponse("/", 303, headers={"set-cookie": cookie(new.key)})


def log_out(request: Request) -> Response:
    """The session ends, and what it holds is forgotten."""
    asked.served(request).sessions.end(asked.session(request))
    return RedirectResponse("/login" if request.app.state.locked else "/", 303)


def field(value: edits.Value) -> str:
    """A value as it stands in a field: 83 and not 83.0."""
    if value is None:
        return ""
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)
