"""m3h weights: the pretrained weights on this machine, and fetching them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3h.cli import options as o

if TYPE_CHECKING:
    from m3h.encoders.weights.catalog import Model

Fetch = Annotated[str | None, typer.Option("--fetch", metavar="NAME", help="Get the weights of this encoder.")]
From = Annotated[
    Path | None,
    typer.Option("--from", metavar="DIR", help="With --fetch: a folder with the published files; downloads nothing."),
]


Folder = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="DIR",
        help="Where pretrained weights lie, or where to put those that are fetched.",
        show_default="weights in the user's cache folder",
    ),
]


def weights(fetch: Fetch = None, published: From = None, weights: Folder = None, as_json: o.Json = False) -> None:
    """Pretrained weights: which are on this machine, where, how large, whole or damaged; and fetching them.

    Published files are read with a restricted unpickler, written as safetensors and known by their SHA-256 from then
    on. Only --fetch without --from goes to the network. For a machine without internet: fetch on another one, copy the
    folder, and name it with --weights. Exit status 2 where weights are damaged.
    """
    from m3h.cli.screen import console, plain_table, print_json
    from m3h.core.errors import SettingError
    from m3h.encoders.surroundings import around
    from m3h.encoders.weights.catalog import MODELS
    from m3h.encoders.weights.store import check_folder

    if published is not None and fetch is None:
        raise SettingError("--from without --fetch", next_step="say which weights: m3h weights --fetch NAME --from DIR")
    if fetch is None:
        check_folder(weights)
    if fetch is not None and not _in_a_package(fetch):
        _fetch(fetch, weights, published, as_json)
    with around(weights=weights):
        found = [described(model) for model in MODELS.values()]
    damaged = any(one["state"] == "damaged" for one in found)
    if as_json:
        print_json({"weights": found})
        raise typer.Exit(2 if damaged else 0)
    screen = console()
    rows = [
        (one["name"], one["state"], _megabytes(one["bytes"]), one["licence"], one["fingerprint"] or "") for one in found
    ]
    table = plain_table("Pretrained weights", ("encoder", "state", "size", "licence", "SHA-256 of all"), rows)
    table.columns[0].no_wrap = True
    screen.print(table)
    for one in found:
        screen.print(f"{one['name']}: {one['title']}; {_where(one)}", soft_wrap=True, markup=False)
    raise typer.Exit(2 if damaged else 0)


def _where(one: dict[str, Any]) -> str:
    """Where weights lie; of those that are damaged or missing how to get them."""
    if one["state"] == "damaged":
        return f"damaged{' in ' + one['folder'] if one['folder'] else ''}; {one['get']}"
    return str(one["folder"] or one["get"])


def described(model: Model) -> dict[str, Any]:
    """A model's weights as JSON data; state is "here", "missing" or "damaged", every file's SHA-256 checked."""
    from m3h.core.errors import WeightsError
    from m3h.encoders.weights import store

    content: dict[str, Any] = {key: getattr(model, key) for key in ("name", "title", "modality", "licence", "page")}
    nothing: dict[str, Any] = {"folder": None, "bytes": None, "files": {}, "fingerprint": None}
    content |= {"get": store.how_to_get(model), "state": "missing", **nothing}
    try:
        found = store.find(model.name)
        if found is None:
            return content
        content |= {"state": "damaged", "folder": str(found.folder), "files": dict(found.hashes), "bytes": found.size}
        for name in found.hashes:
            store.verify(found, name)
    except WeightsError as error:
        return content | {"state": "damaged", "get": error.next_step}
    return content | {"state": "here", "fingerprint": found.fingerprint[:12]}


def _in_a_package(name: str) -> bool:
    """Whether these weights came with an installed package: nothing is left to fetch."""
    from m3h.encoders.weights import store
    from m3h.encoders.weights.catalog import MODELS

    return name in MODELS and bool(MODELS[name].package) and store.find(name) is not None


def _fetch(name: str, place: Path | None, published: Path | None, quiet: bool) -> None:
    from m3h.cli.screen import Waiting
    from m3h.encoders.cache import default_cache
    from m3h.encoders.weights.fetch import fetch

    with Waiting(quiet=quiet) as say:
        fetch(
            name,
            place or default_cache() / "weights",
            published=published,
            progress=lambda file, share: say(f"fetching {file}", share),
        )


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:,.0f} MB"
