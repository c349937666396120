"""Reading published weight files without running anything that is in them.

PyTorch's restricted unpickler reads them (``weights_only``); every class of a pickled model that is allowed is an inert
stand-in here, so that not even the model's own code runs. Anything else in a file is refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from m3h.core.errors import WeightsError

#: Classes that a published DenseNet consists of, by the names they have had; other names are refused.
_LAYERS = (
    "torch.nn.modules.container.Sequential",
    "torch.nn.modules.conv.Conv2d",
    "torch.nn.modules.batchnorm.BatchNorm2d",
    "torch.nn.modules.activation.ReLU",
    "torch.nn.modules.pooling.MaxPool2d",
    "torch.nn.modules.pooling.AvgPool2d",
    "torch.nn.modules.linear.Linear",
)
_NETWORKS = tuple(
    f"{module}.{name}"
    for module in ("torchxrayvision.models", "torchvision.models.densenet")
    for name in ("DenseNet", "_DenseBlock", "_DenseLayer", "_Transition")
)
#: What a model may have been given along the way, such as its labels; never looked at.
_VALUES = ("numpy.core.multiarray._reconstruct", "numpy.core.multiarray.scalar", "numpy.ndarray", "numpy.dtype")
ALLOWED = (*_LAYERS, *_NETWORKS, *_VALUES)
_CLASS_OF = "m3h.class_of"


class Inert:
    """Stands for a class of a published file: keeps what the file says of it, and does nothing."""

    def __new__(cls, *_: Any) -> Inert:
        """Takes whatever the file gives."""
        return super().__new__(cls)

    def __init__(self, *_: Any) -> None:
        self.state: Any = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _class_of(*identity: Any) -> Any:
    """The class of a module's identity in files of PyTorch before 1.6: ("module", class, file, source code)."""
    return identity[1]


def read_published(path: Path) -> dict[str, Tensor]:
    """The tensors of a published file, by their names in the model's state.

    The file is safetensors, a pickled state or a pickled model, in the format of any PyTorch. Errors: WeightsError for
    a file that is damaged or holds anything but tensors in modules of the allowed classes.
    """
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return _guarded(path, lambda: load_file(path))
    return _guarded(path, lambda: _tensors(_unpickled(path)))


def _guarded(path: Path, read: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    try:
        found = read()
        if not found:
            raise ValueError("it holds no tensor")
    # a broken or hostile file meets the reader in many ways; each means the same
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        # of PyTorch's long advice, the line that names what was refused
        reason = next((line.strip() for line in lines if "GLOBAL" in line), lines[0])
        raise WeightsError(
            "holds something else than weights, or is damaged",
            where=str(path),
            got=reason[:200],
            expected="tensors, and modules of the classes that the published model consists of",
            next_step="get the file again from where it was published",
        ) from error
    return found


def _unpickled(path: Path) -> Any:
    with path.open("rb") as stream:
        zipped = stream.read(4) == b"PK\x03\x04"
        stream.seek(0)
        source = stream if zipped else BytesIO(without_identities(stream.read()))
        allowed: list[Any] = [(Inert, name) for name in ALLOWED]
        with torch.serialization.safe_globals([*allowed, (_class_of, _CLASS_OF)]):
            return torch.load(source, map_location="cpu", weights_only=True)


def without_identities(data: bytes) -> bytes:
    """A file of PyTorch before 1.6 in which each module's identity, which the restricted unpickler does not know, is a
    call of a function that gives its class. The file is taken apart by ``pickletools``, which runs nothing."""
    stream = BytesIO(data)
    for _ in range(3):  # magic number, version, facts of the machine
        for _ in pickletools.genops(stream):
            pass
    module, _, function = _CLASS_OF.rpartition(".")
    call = f"c{module}\n{function}\n".encode()
    changes: list[tuple[int, bytes, bytes]] = []
    for first, last in _identities(pickletools.genops(stream)):
        changes += [(first, b"", call), (last, b"Q", b"R")]
    pieces, at = [], 0
    for position, old, new in sorted(changes):
        pieces += [data[at:position], new]
        at = position + len(old)
    return b"".join([*pieces, data[at:]]) if changes else data


def _identities(operations: Iterable[tuple[Any, Any, int | None]]) -> list[tuple[int, int]]:
    """Where each module's identity begins (its mark) and where it is turned into the class (its last operation)."""
    marks: list[tuple[int, list[Any]]] = []
    memory: dict[int, Any] = {}
    last: Any = None
    closed: tuple[int, list[Any]] | None = None
    found: list[tuple[int, int]] = []
    for operation, value, position in operations:
        name, at = operation.name, position or 0
        if name in ("BINPUT", "LONG_BINPUT"):
            memory[value] = last
            continue
        last = memory.get(value) if name in ("BINGET", "LONG_BINGET") else value
        if name == "MARK":
            marks.append((at, []))
        elif name == "TUPLE" and marks:
            closed = marks.pop()
            if marks:
                marks[-1][1].append(closed)
        elif name == "BINPERSID":
            if closed and closed[1][:1] == ["module"]:
                found.append((closed[0], at))
        else:
            if name in ("SETITEMS", "APPENDS") and marks:
                marks.pop()
            if marks:
                marks[-1][1].append(last)
    return found


def _tensors(content: Any) -> dict[str, Tensor]:
    if isinstance(content, Inert):
        return dict(_of_module(content, ""))
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise ValueError(f"it holds a {type(content).__name__}")
    strange = [name for name, value in content.items() if not isinstance(value, Tensor)]
    if strange:
        raise ValueError(f"{len(strange)} of its entries are no tensors")
    return {str(name): value.detach() for name, value in content.items()}


def _of_module(module: Inert, prefix: str) -> list[tuple[str, Tensor]]:
    """Parameters and buffers of a module and those in it, named as in its state."""
    found: list[tuple[str, Tensor]] = []
    for part in ("_parameters", "_buffers"):
        for name, value in module.state.get(part, {}).items():
            if isinstance(value, Tensor):
                found.append((f"{prefix}{name}", value.detach()))
    for name, inner in module.state.get("_modules", {}).items():
        if isinstance(inner, Inert):
            found += _of_module(inner, f"{prefix}{name}.")
    return found
