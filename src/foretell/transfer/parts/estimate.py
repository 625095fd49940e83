"""What is foretold of modules in a user's file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foretell.errors import DataError, SettingError
from foretell.graphs.measures import NAMES
from foretell.spaces.parts.load import run_file
from foretell.spaces.parts.reason import reason
from foretell.transfer.parts.numbers import numbers
from foretell.transfer.parts.prior import shipped


@dataclass(frozen=True)
class Estimate:
    """One network.

    Args:
        name: of the network.
        score: of the prior, 0 for the middle network of its sources; two thirds are within 1 of it.
        spread: deviation over the members of the prior.
        share: of the sources' networks that have a lower score, from 0 to 1.
        params: parameters.
        flops: of one input, two for each multiply-add.
        depth: most weighted operations on a way from input to output.
    """

    name: str
    score: float
    spread: float
    share: float
    params: int
    flops: int
    depth: int

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)


def modules_of(spec: str) -> dict[str, Any]:
    """The networks that `file.py:name` makes: a module, a list or a dict of some, or a function.

    The file is run as Python code.

    Raises:
        SettingError: there is no such file or name, or it makes no modules.
    """
    path, _, name = spec.rpartition(":")
    if not path.endswith(".py") or not Path(path).expanduser().is_file():
        raise SettingError(
            f"model {spec!r}", expected="file.py:name of a file that exists", got=repr(path or spec)
        )
    module = run_file(Path(path).expanduser(), spec)
    if name not in vars(module):
        public = sorted(key for key in vars(module) if not key.startswith("_"))
        raise SettingError(f"no {name!r} in {path}", expected=f"one of {', '.join(public)}")
    import torch

    made = vars(module)[name]
    if callable(made) and not isinstance(made, torch.nn.Module):
        try:
            made = made()
        except Exception as error:  # a user's function may raise anything
            raise SettingError(
                f"{spec} failed: {reason(error)}", expected="a function without arguments"
            ) from error
    if isinstance(made, torch.nn.Module):
        made = {name: made}
    elif isinstance(made, Sequence) and not isinstance(made, str):
        made = {f"{name}[{i}]": one for i, one in enumerate(made)}
    if not isinstance(made, Mapping) or not all(
        isinstance(one, torch.nn.Module) for one in made.values()
    ):
        raise SettingError(
            f"{spec} makes no networks",
            expected="an nn.Module, or several",
            got=type(made).__name__,
        )
    return {str(key): value for key, value in made.items()}


def estimate(modules: Mapping[str, Any], input_shape: Sequence[int]) -> list[Estimate]:
    """What is foretold of each, best first."""
    if not modules:
        raise DataError("no networks to estimate")
    found, prior = numbers(list(modules.values()), input_shape), shipped()
    scores, spread = prior.score(found)
    share = prior.share(scores)
    column = {name: found[:, i] for i, name in enumerate(NAMES)}
    rows = [
        Estimate(
            name,
            float(scores[i]),
            float(spread[i]),
            float(share[i]),
            round(float(np.expm1(column["params"][i]))),
            round(float(np.expm1(column["flops"][i]))),
            round(float(column["longest_weighted"][i])),
        )
        for i, name in enumerate(modules)
    ]
    return sorted(rows, key=lambda row: -row.score)
