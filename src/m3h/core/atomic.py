"""Writing so that nothing half-written stays behind: into a neighbour first, then one rename."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from m3h.core.errors import FolderError


@contextlib.contextmanager
def atomic_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """A new folder that takes the name ``target`` when the block ends well, and vanishes when it does not. Who may
    read it and its files follows from the umask.

    With ``replace`` an existing folder is exchanged for the new one; without it, an existing ``target`` is kept and
    the new folder dropped (two processes that write the same content-addressed folder). Errors: FolderError where
    the place cannot be written or the disk is full.
    """
    if target.is_file():
        raise FolderError("a file stands where a folder should be", where=str(target), next_step="choose another place")
    with _place(target) as parent:
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=parent))
        try:
            temporary.chmod(0o777 & ~_umask())
            yield temporary
            _follow_umask(temporary)
            if replace and target.exists():
                old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=parent))
                target.rename(old / "was")
                temporary.rename(target)
                shutil.rmtree(old, ignore_errors=True)
            elif not target.exists():
                temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def atomic_contents(target: Path, *, keep: Collection[str], last: str) -> Iterator[Path]:
    """A new folder whose contents become those of ``target`` when the block ends well, and vanish when it does not.

    What is named in ``keep`` stays in ``target``, open or not: other processes may be writing to it. The item ``last``
    leaves first and comes last, so that whoever finds it finds the rest whole. Errors: FolderError as atomic_folder.
    """
    with atomic_folder(target) as fresh:
        yield fresh
        if not target.exists():
            return
        _follow_umask(fresh)
        (target / last).unlink(missing_ok=True)
        old = fresh / f"was.{last}"
        old.mkdir()
        for item in sorted(target.iterdir()):
            if item.name not in keep:
                item.rename(old / item.name)
        items = [item for item in sorted(fresh.iterdir()) if item not in (old, fresh / last)]
        for item in [*items, fresh / last]:
            if item.exists():
                item.rename(target / item.name)


@contextlib.contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """A new file's path; what is written there takes the name ``target`` when the block ends well."""
    if target.is_dir():
        raise FolderError("a folder stands where a file should be", where=str(target), next_step="choose another place")
    with _place(target) as parent:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=parent)
        os.close(handle)
        temporary = Path(name)
        try:
            temporary.chmod(0o666 & ~_umask())
            yield temporary
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _place(target: Path) -> Iterator[Path]:
    """The folder that holds ``target``, made if need be; what the system refuses becomes a FolderError."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield target.parent
    except OSError as error:
        reason = error.strerror or str(error)
        raise FolderError(
            f"cannot be written: {reason}",
            where=str(target),
            next_step="free space there, or choose another place; nothing half-written was left",
        ) from error


def _follow_umask(folder: Path) -> None:
    """Give the files in a folder the permissions that the umask gives: some libraries write for their owner alone."""
    mode = 0o666 & ~_umask()
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(mode)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
