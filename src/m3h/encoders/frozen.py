"""What all encoders with pretrained weights share: which numbers a saved model expects, and by which weights."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from m3h.core.errors import WeightsError
from m3h.core.fingerprint import NUMERICS, fingerprint
from m3h.encoders.block import EncoderState
from m3h.encoders.surroundings import now
from m3h.encoders.weights import store
from m3h.encoders.weights.store import Weights

#: Other versions of these may round otherwise.
LIBRARIES = ("numpy", "pillow", "tokenizers", "torch", "torchxrayvision", "transformers")


def identity(name: str, **more: Any) -> str:
    """Of all that changes what a pretrained network makes of the same input. Errors: WeightsError without weights."""
    return fingerprint(
        {
            "numerics": NUMERICS,
            "libraries": {library: version(library) for library in LIBRARIES},
            "weights": store.require(name).fingerprint,
            "device": now().device,
            **more,
        }
    )


def learnt(name: str) -> EncoderState:
    """What is kept of an encoder that learns nothing: which weights it used."""
    return EncoderState({"weights": store.require(name).fingerprint})


def the_same(name: str, state: EncoderState) -> Weights:
    """The weights that ``state`` was made with. Errors: WeightsError where those on this machine are others."""
    found = store.require(name)
    if found.fingerprint != state.facts["weights"]:
        raise WeightsError(
            "other weights than those the model was trained with",
            where=f'encoder "{name}": {found.folder}',
            got=f"weights {found.fingerprint[:12]}",
            expected=f"weights {state.facts['weights'][:12]}",
            next_step="give the folder of those weights by --weights DIR, or train the model anew",
        )
    return found
