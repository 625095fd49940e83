"""What networks of other spaces say of a network: an ensemble on numbers of its graph."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell._files import write_bytes
from foretell.errors import DataError
from foretell.graphs.measures import NAMES

Floats = NDArray[np.float64]
SHIPPED = "prior.safetensors"
_FACTS = "foretell"


@dataclass(frozen=True, eq=False)
class Prior:
    """Scores of networks by the numbers of their computational graphs.

        z = clip((x - centre) / spread, -4, 4),    s = mean_m W3_m silu(W2_m silu(W1_m z))

    with biases, for the members m. Higher is better; once `scaled`, 0 is the middle network of the
    tables it has learnt from, and two thirds of these are between -1 and 1.

    Args:
        names: of the numbers, some of `foretell.graphs.measures.NAMES`.
        arrays: "centre", "spread" (f,), and for each layer "weight" (members, in, out) and "bias"
            (members, 1, out).
        facts: what it has learnt from, as the model card says it.
    """

    names: tuple[str, ...]
    arrays: Mapping[str, NDArray[np.float32]]
    facts: Mapping[str, Any]

    def score(self, numbers: NDArray[Any]) -> tuple[Floats, Floats]:
        """Mean and deviation over the members.

        Shapes: numbers (n, len(NAMES)) of `foretell.graphs.measures.measures` to (n,) each.
        """
        a = self.arrays
        picked = np.asarray(numbers, dtype=np.float64)[:, _places(self.names)]
        z = np.clip((picked - a["centre"]) / a["spread"], -4.0, 4.0)[None]
        layers = sorted(key[6:] for key in a if key.startswith("weight"))
        for i, layer in enumerate(layers):
            z = z @ a[f"weight{layer}"] + a[f"bias{layer}"]
            if i + 1 < len(layers):
                z = z / (1.0 + np.exp(-np.clip(z, -60.0, 60.0)))
        scores = z[..., 0]
        return scores.mean(axis=0), scores.std(axis=0)

    def share(self, scores: Floats) -> Floats:
        """Which share of the networks that it has learnt from have a lower score, from 0 to 1."""
        levels = self.arrays["levels"]
        share: Floats = np.interp(scores, levels, np.linspace(0.0, 1.0, len(levels)))
        return share

    def scaled(self, own: Sequence[Floats]) -> Prior:
        """The same order by scores of which one unit is half of what two thirds of networks span.

        Args:
            own: this prior's scores of the networks of each source; all sources count alike.
        """
        levels = np.mean([np.quantile(one, np.linspace(0, 1, 101)) for one in own], axis=0)
        middle, unit = levels[50], max(float(levels[84] - levels[16]) / 2, 1e-12)
        last = max(key[6:] for key in self.arrays if key.startswith("weight"))
        changed = {
            f"weight{last}": self.arrays[f"weight{last}"] / unit,
            f"bias{last}": (self.arrays[f"bias{last}"] - middle) / unit,
            "levels": (levels - middle) / unit,
        }
        arrays = {**self.arrays, **{k: v.astype(np.float32) for k, v in changed.items()}}
        return Prior(self.names, arrays, self.facts)

    def save(self, file: str | Path) -> None:
        """Write it as safetensors, with its facts."""
        from safetensors.numpy import save

        facts = json.dumps({"names": list(self.names), **self.facts}, sort_keys=True)
        data = {name: np.ascontiguousarray(value) for name, value in self.arrays.items()}
        write_bytes(Path(file), save(data, metadata={_FACTS: facts}))

    @classmethod
    def load(cls, file: str | Path) -> Prior:
        """Read what `save` has written.

        Raises: DataError for any other file.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(file), framework="numpy") as opened:
                facts = json.loads((opened.metadata() or {})[_FACTS])
                keys = opened.keys()  # it has no iterator
                arrays = {name: opened.get_tensor(name) for name in keys}
            names = tuple(facts.pop("names"))
            _places(names)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise DataError(
                f"prior {str(file)!r}", expected="a file of `Prior.save`", got=error
            ) from error
        return cls(names, arrays, facts)


@functools.cache
def shipped() -> Prior:
    """The prior that comes with foretell."""
    return Prior.load(Path(str(files("foretell.transfer"))) / SHIPPED)


@functools.cache
def _places(names: Sequence[str]) -> NDArray[np.intp]:
    return np.array([NAMES.index(name) for name in names])
