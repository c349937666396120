"""Where a ledger may be: on a file system of this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

from m3h.core.errors import FolderError

#: File systems behind which other machines may stand; SQLite's shared memory does not reach them.
NETWORK = frozenset(
    (
        *("9p", "afs", "beegfs", "ceph", "cifs", "cvmfs", "davfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs"),
        *("nfs3", "nfs4", "orangefs", "panfs", "pvfs2", "smb2", "smb3", "smbfs", "virtiofs"),
        *("fuse.ceph", "fuse.glusterfs", "fuse.juicefs", "fuse.s3fs", "fuse.smbnetfs", "fuse.sshfs", "fuse.rclone"),
        *("fuse.davfs", "fuse.gcsfuse", "fuse.blobfuse2", "fuse.blobfuse", "fuse.mfs", "fuse.seaweedfs"),
    )
)
MOUNTS = Path("/proc/self/mounts")


def make_file(path: Path) -> None:
    """An empty file at ``path`` unless there is one; its folders too.

    Who may read it follows from the umask, as for all files of a run that hold something of patients; SQLite gives its
    side files the permissions of the ledger. Errors: FolderError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o666))
    except OSError as error:
        raise FolderError(
            f"the ledger cannot be written: {error.strerror or error}",
            where=str(path),
            next_step="get write permission, or give --ledger another file",
        ) from error


def check_file_system(path: Path) -> None:
    """Refuse a network file system. Linux names them; elsewhere SQLite's own answer has to do. Errors: FolderError."""
    kind = file_system(path)
    if kind in NETWORK:
        raise FolderError(
            "the ledger is on a network file system, where processes cannot share it safely",
            where=str(path),
            got=kind,
            expected="a disk of this machine",
            next_step="put --ledger on a local disk",
        )


def file_system(path: Path) -> str:
    """The kind of file system that ``path`` is on, as Linux names it; "" where that cannot be told."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    place = path.resolve()
    found: tuple[int, str] = (0, "")
    for line in lines:
        _, folder, kind, *_ = line.split(" ")
        mounted = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), folder))
        if place.is_relative_to(mounted) and len(mounted.parts) >= found[0]:
            found = (len(mounted.parts), kind)  # of equal places the later mount lies on top
    return found[1]
