"""Weights in a folder: <folder>/<name>/ holds model.safetensors, config.json, vocab.txt and weights.json.

weights.json records the SHA-256 of each file when it was written; it is checked whenever weights are loaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from m3h.core.atomic import atomic_folder
from m3h.core.errors import FolderError, WeightsError
from m3h.core.fingerprint import fingerprint
from m3h.core.installing import extra, installing
from m3h.encoders.cache import default_cache
from m3h.encoders.surroundings import now
from m3h.encoders.weights.catalog import MODELS, Model

if TYPE_CHECKING:
    from torch import Tensor

RECORD, TENSORS, CONFIG, VOCABULARY = "weights.json", "model.safetensors", "config.json", "vocab.txt"
FORMAT = 1


@dataclass(frozen=True)
class Weights:
    """Weights that are on this machine: the model, its folder, and the SHA-256 of each file by name."""

    model: Model
    folder: Path
    hashes: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """Of the content of all files; equal wherever they lie."""
        return fingerprint(dict(self.hashes))

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum((self.folder / name).stat().st_size for name in self.hashes if (self.folder / name).is_file())


def places() -> list[Path]:
    """Folders that weights are looked for in, in this order."""
    given = now().weights
    return [*([given] if given else []), default_cache() / "weights"]


def check_folder(folder: Path | None) -> None:
    """Errors: FolderError where a folder of weights was named, and there is none."""
    if folder is not None and not folder.is_dir():
        raise FolderError(
            "a file stands where a folder should be" if folder.exists() else "no such folder",
            where=str(folder),
            expected=f"a folder that holds weights, such as {MODELS['clinicalbert'].name}/{RECORD}",
            next_step="name with --weights the folder into which m3h weights --fetch wrote, or leave it out",
        )


def find(name: str) -> Weights | None:
    """The weights of a model, or None if they are not on this machine. Errors: WeightsError for a damaged record."""
    model = MODELS[name]
    for folder in (place / name for place in places()):
        if (folder / RECORD).is_file():
            return _recorded(model, folder)
    return _packaged(model) if model.module else None


def require(name: str) -> Weights:
    """The weights of a model. Errors: WeightsError that says how to get them, and which encoder works without."""
    found = find(name)
    if found is None:
        raise _missing(MODELS[name])
    return found


def load(weights: Weights) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and configuration, after every file was checked against its SHA-256.

    Errors: WeightsError for a file that is missing, damaged or another than the one recorded.
    """
    from safetensors.torch import load_file

    for name in weights.hashes:
        verify(weights, name)
    try:
        return load_file(weights.folder / TENSORS), described(weights)
    except SafetensorError as error:
        raise _damaged(weights.model, weights.folder) from error


def described(weights: Weights) -> dict[str, Any]:
    """The configuration alone, checked as in :func:`load`."""
    verify(weights, CONFIG)
    try:
        return dict(json.loads((weights.folder / CONFIG).read_text(encoding="utf-8")))
    except ValueError as error:
        raise _damaged(weights.model, weights.folder / CONFIG) from error


def verify(weights: Weights, name: str) -> None:
    """Errors: WeightsError for a file that is missing or whose SHA-256 is another than the one recorded."""
    path = weights.folder / name
    if not path.is_file() or sha256(path) != weights.hashes.get(name):
        raise _damaged(weights.model, path)


def write(
    place: Path,
    name: str,
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    *,
    vocabulary: str | None = None,
    published: Mapping[str, str] | None = None,
) -> Weights:
    """Write weights into ``place``/``name``, whole or not at all, over what is there. Equal weights, equal bytes.

    ``published`` are the SHA-256 of the files they were made of. Errors: FolderError where it cannot be written.
    """
    from safetensors.torch import save_file

    model, folder = MODELS[name], place / name
    with atomic_folder(folder, replace=folder.exists()) as fresh:
        try:
            save_file({key: tensors[key].detach().contiguous().clone() for key in sorted(tensors)}, fresh / TENSORS)
        except SafetensorError as error:  # a full disk, in the library's own words
            raise OSError(str(error)) from error
        (fresh / CONFIG).write_text(json.dumps(dict(config), indent=1, sort_keys=True) + "\n", encoding="utf-8")
        if vocabulary is not None:
            (fresh / VOCABULARY).write_text(vocabulary, encoding="utf-8", newline="")
        content = {
            "format": FORMAT,
            "name": name,
            "title": model.title,
            "licence": model.licence,
            "page": model.page,
            "files": {path.name: sha256(path) for path in sorted(fresh.iterdir())},
            "published": dict(published or {}),
        }
        (fresh / RECORD).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return _recorded(model, folder)


def unfit(weights: Weights, what: str) -> WeightsError:
    """The error of weights that are whole, and yet no model of their kind."""
    return WeightsError(
        what,
        where=f'encoder "{weights.model.name}": {weights.folder}',
        next_step=f"get the weights of {weights.model.title} again",
    )


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _recorded(model: Model, folder: Path) -> Weights:
    try:
        content = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if content["format"] != FORMAT or content["name"] != model.name:
            raise ValueError("another format or model")
        hashes = {str(name): str(value) for name, value in content["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(model, folder / RECORD) from error
    if not {TENSORS, CONFIG} <= set(hashes) or any(Path(name).name != name for name in hashes):
        raise _damaged(model, folder / RECORD)
    return Weights(model, folder, hashes)


def _packaged(model: Model) -> Weights | None:
    """The weights in an installed package, known by the SHA-256 in the catalog; the package's code is not run."""
    found = importlib.util.find_spec(model.module)
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(next(iter(found.submodule_search_locations))) / "model"
    return Weights(model, folder, model.known) if (folder / TENSORS).is_file() else None


def how_to_get(model: Model) -> str:
    """The next step of somebody who lacks these weights."""
    if model.package:
        return extra(model.extra)
    return (
        f"m3h weights --fetch {model.name} where there is internet; for another machine, copy the folder {model.name} "
        "that it writes and name the one above it with --weights DIR"
    )


def _missing(model: Model) -> WeightsError:
    return WeightsError(
        f"the pretrained weights of {model.title} are not on this machine",
        where=f'encoder "{model.name}"',
        expected=f"the package {model.package}" if model.package else f"{model.name}/{RECORD} in {_named(places())}",
        next_step=f"{how_to_get(model)}; or {_without(model)}",
    )


def _without(model: Model) -> str:
    return f'set encoder = "{model.instead}" in the [[source]] of modality "{model.modality}"; it works without weights'


def _named(folders: list[Path]) -> str:
    return " or ".join(str(folder) for folder in folders)


def _damaged(model: Model, path: Path) -> WeightsError:
    again = installing(model.package, again=True) if model.package else f"m3h weights --fetch {model.name}"
    return WeightsError(
        "is missing, damaged, or not the file whose SHA-256 was recorded",
        where=f'encoder "{model.name}": {path}',
        next_step=f"get the weights again: {again}",
    )
