"""Numbers of the graphs of modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from foretell.errors import DataError
from foretell.graphs.computation import joined
from foretell.graphs.measures import measures
from foretell.graphs.traced import trace
from foretell.transfer.parts.prior import Floats


def numbers(modules: Any, input_shape: Sequence[int]) -> Floats:
    """Numbers of the graphs of modules, (n, f).

    Raises: DataError for what is no list of modules.
    """
    if not isinstance(modules, Sequence) or not all(
        isinstance(one, torch.nn.Module) for one in modules
    ):
        raise DataError("X", expected="a list of nn.Module", got=type(modules).__name__)
    example = torch.zeros((1, *input_shape))
    found: Floats = measures(joined([trace(module, example) for module in modules]))
    return found
