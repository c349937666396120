"""Published files to weights that encoders read: by download, or from a folder where they lie already."""

from __future__ import annotations

import json
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3h.core.errors import SettingError, WeightsError, nearest
from m3h.core.installing import extra
from m3h.encoders.weights import store
from m3h.encoders.weights.catalog import MODELS, Model
from m3h.encoders.weights.restricted import read_published

if TYPE_CHECKING:
    from torch import Tensor

#: Told the file's name and the share of it that is here (None: its length is unknown).
Progress = Callable[[str, float | None], None]
PIECE = 1 << 20
SECONDS = 60


def fetch(name: str, place: Path, *, published: Path | None = None, progress: Progress | None = None) -> store.Weights:
    """Download the published files of a model, read them restrictedly, and write its weights into ``place``/``name``.

    ``published``: a folder with those files; nothing is downloaded then. Errors: SettingError for an unknown name or a
    model that comes with a package; WeightsError for files that are missing, cannot be had or hold no such model.
    """
    if name not in MODELS:
        raise SettingError(f'no pretrained weights named "{name}"{nearest(name, MODELS)}')
    model = MODELS[name]
    if model.package:
        raise SettingError(
            f"the weights of {name} come with the package {model.package}",
            next_step=extra(model.extra),
        )
    if published is not None:
        return _converted(model, published, place)
    with tempfile.TemporaryDirectory(prefix="m3h-weights-") as folder:
        for file, address in model.files.items():
            _download(model, address, Path(folder) / file, progress or (lambda text, share: None))
        return _converted(model, Path(folder), place)


def _download(model: Model, address: str, target: Path, progress: Progress) -> None:
    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as answer, target.open("wb") as file:
            length, here = int(answer.headers.get("Content-Length") or 0), 0
            while piece := answer.read(PIECE):
                file.write(piece)
                here += len(piece)
                progress(target.name, here / length if length else None)
        if length and here != length:
            raise OSError(f"{here} of {length} bytes came")
    except (OSError, urllib.error.URLError, ValueError) as error:
        raise WeightsError(
            f"{address} cannot be fetched",
            where=f'encoder "{model.name}"',
            got=str(error)[:200],
            next_step=f"fetch {', '.join(model.files)} with a browser from {model.page} into one folder DIR, "
            f"then m3h weights --fetch {model.name} --from DIR",
        ) from error


def _converted(model: Model, folder: Path, place: Path) -> store.Weights:
    """Published files in ``folder`` to weights in ``place``."""
    # the same tensors are published as safetensors too; who has those needs no unpickling
    published, same = folder / model.weights, folder / store.TENSORS
    tensors = same if same.is_file() and not published.is_file() else published
    needed = [tensors, *(folder / file for file in model.files if file != model.weights)]
    absent = [file.name for file in needed if not file.is_file()]
    if absent:
        raise WeightsError(
            f"{', '.join(absent)} {'is' if len(absent) == 1 else 'are'} not here",
            where=str(folder),
            expected=f"the files {', '.join(model.files)}",
            next_step=f"they are published at {model.page}",
        )
    hashes = {file.name: store.sha256(file) for file in needed}
    state = read_published(tensors)
    vocabulary = folder / store.VOCABULARY
    return store.write(
        place,
        model.name,
        bert_state(state) if model.kind == "bert" else state,
        _config(model, folder),
        vocabulary=vocabulary.read_bytes().decode("utf-8") if vocabulary.is_file() else None,
        published=hashes,
    )


def _config(model: Model, folder: Path) -> Mapping[str, Any]:
    if model.config:
        return model.config
    try:
        config = json.loads((folder / store.CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError("is no JSON", where=str(folder / store.CONFIG)) from error
    return dict(config)


def bert_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a BERT without its heads, under the names of today's: no prefix, weight and bias of norms."""
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        plain = name.removeprefix("bert.")
        if plain.startswith("cls.") or plain.endswith("position_ids"):
            continue
        found[plain.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")] = tensor
    return found
