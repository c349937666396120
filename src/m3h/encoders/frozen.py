"""What all encoders with pretrained weights share: which numbers a saved model expects, and by which weights."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, ClassVar

from m3h.core.errors import WeightsError
from m3h.core.fingerprint import NUMERICS, fingerprint
from m3h.encoders.at_once import Precision, check_precision
from m3h.encoders.block import Bools, EncoderState
from m3h.encoders.surroundings import now
from m3h.encoders.weights import store
from m3h.encoders.weights.store import Weights

#: Other versions of these may round otherwise.
LIBRARIES = ("numpy", "pillow", "tokenizers", "torch", "torchxrayvision", "transformers")


@dataclass(frozen=True)
class Frozen:
    """An encoder that learns nothing: its network comes with its weights and stays as it is.

    ``name`` is that of its weights; ``precision`` "bfloat16" is faster on processors that have it. Errors: WeightsError
    where the weights are not on this machine, SettingError for a precision that the processor has not.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1

    precision: Precision = "float32"

    def __post_init__(self) -> None:
        check_precision(self.precision, now().device)
        store.require(self.name)

    @property
    def pretrained(self) -> str:
        """The fingerprint of the weights."""
        return store.require(self.name).fingerprint

    @property
    def identity(self) -> str:
        """Of all that changes what the network makes of the same input."""
        return fingerprint(
            {
                "numerics": NUMERICS,
                "libraries": {library: version(library) for library in LIBRARIES},
                "weights": self.pretrained,
                "device": now().device,
                "version": self.version,
                "precision": self.precision,
                **self._reading(),
            }
        )

    def _reading(self) -> dict[str, Any]:
        """What else changes how the network reads an input, as JSON data."""
        return {}

    def fit(self, data: Any, rows: Bools) -> EncoderState:
        """Nothing is learnt; the state tells the weights."""
        return EncoderState({"weights": self.pretrained})

    def _weights_of(self, state: EncoderState) -> Weights:
        """The weights that ``state`` was made with. Errors: WeightsError where those on this machine are others."""
        found = store.require(self.name)
        if found.fingerprint != state.facts["weights"]:
            raise WeightsError(
                "other weights than those the model was trained with",
                where=f'encoder "{self.name}": {found.folder}',
                got=f"weights {found.fingerprint[:12]}",
                expected=f"weights {state.facts['weights'][:12]}",
                next_step="give the folder of those weights by --weights DIR, or train the model anew",
            )
        return found
