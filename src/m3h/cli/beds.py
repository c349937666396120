"""m3h beds: how many beds the patients of today take on the coming days."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3h.cli import options as o
from m3h.core.errors import SettingError

if TYPE_CHECKING:
    from m3h.api.beds import Beds

#: The longest forecast.
FURTHEST = 365


def beds(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with today's patients' tables, or one samples file; by default the test patients."),
    ] = None,
    stay: Annotated[str, typer.Option(metavar="TASK", help="The task of days; by default the only one.")] = "",
    death: Annotated[str, typer.Option(metavar="TASK", help="A yes-or-no task whose risk counts beside it.")] = "",
    days: Annotated[int, typer.Option(metavar="N", help="Forecast so many days.")] = 7,
    ward: Annotated[int, typer.Option(metavar="BEDS", help="Beds of the wards that the forecast is checked on.")] = 30,
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.9,
    out: Annotated[Path | None, typer.Option(help="A CSV file to write the forecast to.")] = None,
    weights: o.WeightsFolder = None,
    as_json: o.Json = False,
) -> None:
    """Forecast the beds of patients from their predicted stays, and say how such forecasts did on test patients."""
    from m3h.cli.screen import Waiting, console, print_json

    if not 1 <= days <= FURTHEST:
        raise SettingError(f"a forecast of {days} days", expected=f"1 to {FURTHEST}")
    if ward < 1:
        raise SettingError(f"wards of {ward} beds", expected="1 or more")
    if not 0 < level < 1:
        raise SettingError(f"intervals that cover {level:g}", expected="more than 0 and less than 1")
    with Waiting(quiet=as_json) as say:
        from m3h.api.beds import beds as forecast

        new = None
        if data is not None:
            from m3h.api.folder import check_new

            say("reading the patients", None)
            check_new(run, data)
            from m3h.api.model import M3H

            model = M3H.load(run)
            new = model.predict(model.new_patients(data, weights=weights, progress=say))
        say("forecasting", None)
        found = forecast(
            run, stay=stay or None, death=death or None, new=new, days=range(1, days + 1), ward=ward, level=level
        )
    rows = _rows(found)
    if out is not None:
        _write(rows, out)
    if as_json:
        print_json(_facts(found) | {"days": rows})
        return
    screen = console()
    for table in _tables(found, rows, level):
        screen.print(table)
    screen.print(_words(found))


def _rows(found: Beds) -> list[dict[str, Any]]:
    """A day a row: the forecast, and what such forecasts were worth on wards of test patients."""
    told, checked = found.forecast, found.validation
    columns: dict[str, Any] = {
        "day": told.days,
        "beds": told.occupied,
        "low": told.low,
        "high": told.high,
        "left_alive": told.left,
        "died": told.died,
        "ward_observed": checked.observed,
        "ward_forecast": checked.forecast,
        "ward_error": checked.error,
        "ward_error_of_usual_stay": checked.plain,
        "ward_coverage": checked.coverage,
    }
    rows = []
    for number in range(len(told.days)):
        row = {name: round(float(values[number]), 3) for name, values in columns.items()}
        rows.append({name: None if value != value else value for name, value in row.items()})
    return rows


def _facts(found: Beds) -> dict[str, Any]:
    checked = found.validation
    return {
        "stay": found.stay,
        "death": found.death,
        "patients": found.patients,
        "known_stays": found.known,
        "wards": checked.wards,
        "beds_of_a_ward": checked.beds,
    }


def _tables(found: Beds, rows: list[dict[str, Any]], level: float) -> list[Any]:
    from m3h.cli.screen import plain_table

    def shown(value: Any, digits: int) -> str:
        return "" if value is None else f"{value:.{digits}f}"

    forecast = [
        (
            shown(row["day"], 0),
            shown(row["beds"], 1),
            f"{row['low']:.0f} to {row['high']:.0f}",
            *((shown(row["left_alive"], 1), shown(row["died"], 1)) if found.death else ()),
        )
        for row in rows
    ]
    head = ("day", "beds", f"{level:.0%} interval", *(("left alive", "died") if found.death else ()))
    checked = [
        (
            shown(row["day"], 0),
            shown(row["ward_observed"], 1),
            shown(row["ward_forecast"], 1),
            shown(row["ward_error"], 2),
            shown(row["ward_error_of_usual_stay"], 2),
            f"{row['ward_coverage']:.0%}",
        )
        for row in rows
    ]
    wards = found.validation
    return [
        plain_table(f"Beds that {found.patients} patients take", head, forecast),
        plain_table(
            f"The same for {wards.wards} wards of {wards.beds} test patients, and what happened",
            ("day", "beds", "forecast", "mean error", "by the usual stay", "within interval"),
            checked,
        ),
    ]


def _words(found: Beds) -> str:
    return (
        f"From the predicted {found.stay} and {found.known} known stays of training patients. Patients who are yet to "
        "come are not in it."
    )


def _write(rows: list[dict[str, Any]], out: Path) -> None:
    import polars as pl

    from m3h.core.atomic import atomic_file

    if out.suffix.lower() != ".csv":
        raise SettingError("the forecast is written as CSV", where="--out", got=str(out.name), expected="a .csv file")
    with atomic_file(out) as place:
        pl.DataFrame(rows).write_csv(place)
