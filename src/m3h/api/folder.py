"""The folder of a saved model, as far as it can be read without PyTorch: model.json, and the study in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from m3h.core.errors import FolderError, SettingError
from m3h.encoders.mistakes import refuse_new
from m3h.study.spec import Study

FACTS = "model.json"
FORMAT = 2
#: What lies beside it.
FILES = ("encoders.safetensors", "networks.json", "networks.safetensors")


def read_facts(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Where the model lies, and the content of its model.json; ``folder`` is the model's own, or that of a run.

    Errors: FolderError if no model is there, or it is damaged or of another format.
    """
    place = folder if (folder / FACTS).is_file() or not (folder / "model" / FACTS).is_file() else folder / "model"
    try:
        content = json.loads((place / FACTS).read_text(encoding="utf-8"))
        of = content["format"]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _absent(folder) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(place, FACTS) from error
    if of != FORMAT:
        raise FolderError(
            "a model of another format",
            where=str(place),
            got=f"format {of}, written by m3h {content.get('m3h')}",
            expected=f"format {FORMAT}",
            next_step="train the model again with this version",
        )
    return place, content


def damaged(folder: Path, name: str) -> FolderError:
    """The error of a file of a model that is not as it was written."""
    return FolderError(
        f"{name} is damaged or missing",
        where=str(folder),
        next_step="train the model again, or copy its folder again",
    )


def _absent(folder: Path) -> FolderError:
    return FolderError(
        "no model here",
        where=str(folder),
        got=_there(folder),
        expected=f"the folder of a run that has ended, or a folder with {FACTS}, {', '.join(FILES)}",
    )


def _there(folder: Path) -> str | None:
    if not folder.exists():
        return "no such folder"
    return "the folder of a study" if (folder / "study.toml").is_file() else None


def study_of(recipe: dict[str, Any], data: Path) -> Study:
    """The study that a model was trained on, with its tables at ``data``, a folder or one samples file.

    Errors: SettingError for a model that was made without a study.
    """
    if not recipe:
        raise SettingError(
            "this model cannot read tables: its dataset was made without a study",
            next_step="give predict a Dataset with the same sources",
        )
    return Study(**recipe, folder=data if data.is_dir() else data.parent, file=None)


def check_new(folder: Path, data: Path) -> None:
    """Refuse new patients' tables that the model in ``folder`` cannot read, before PyTorch is loaded.

    Errors: FolderError where no model is; StudyError or DataError where the tables do not fit its study.
    """
    place, content = read_facts(folder)
    try:
        study = study_of(dict(content["recipe"]), data)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(place, FACTS) from error
    refuse_new(study, data)
