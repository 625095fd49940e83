"""Scores of one network by any proxies, from one shared pass."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from foretell import _catalog
from foretell.errors import ForetellError, SettingError, SpaceError
from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.aggregate import Aggregate
from foretell.evidence.zero_cost.parts.batch import batch
from foretell.evidence.zero_cost.parts.look import Look, Loss
from foretell.evidence.zero_cost.parts.ranks import Ranks

Names = str | Iterable[str] | Mapping[str, Proxy] | Mapping[str, Proxy | Aggregate]


class Scores(dict[str, float]):
    """Scores by name; NaN where there is none, and `reasons` says why.

    `seconds` is what each has taken, what it was the first to need of the shared pass included.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.reasons: dict[str, str] = {}


def score(
    names: Names,
    module: nn.Module,
    data: Any,
    *,
    loss: Loss | None = None,
    seed: int = 0,
) -> Scores:
    """What proxies say of a network that is not trained: any module, any loss.

    The module, its gradients, statistics and mode, and all global generators stay as they are.
    What several proxies need is computed once, so ask for all at once. Aggregates are told of the
    network alone (`Aggregate`); to compare many, rank them: `foretell.proxies.ranked`.

    Args:
        names: of the catalog, or name -> proxy with settings of your own.
        module: (n, ...) to (n, outputs).
        data: (images, labels), arrays or tensors, or what else `foretell.proxies.batch` takes, on
            the device of the module.
        loss: of outputs and targets; None for cross entropy of classes, squared error of numbers.
        seed: of what proxies draw.

    Returns: name -> number, higher or lower is better as the proxy says (`higher_is_better`).

    Raises:
        UnknownNameError: the catalog has no such proxy.
        SpaceError: the network does not run on the data.

    >>> import torch
    >>> from torch import nn
    >>> draws = torch.Generator().manual_seed(0)
    >>> images, labels = torch.randn(8, 4, generator=draws), torch.arange(8) % 3
    >>> net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    >>> found = score(["n-params", "n-layers", "n-flops"], net, (images, labels))
    >>> dict(found)
    {'n-params': 131.0, 'n-layers': 2.0, 'n-flops': 224.0}
    """
    wanted = resolve(names)
    single = components(wanted)
    examples = batch(data, n=2**31)
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    needs = frozenset().union(*(one.needs for one in single.values()))
    inputs, targets = examples.inputs.to(device), examples.targets.to(device)
    found, errors = Scores(), list[Exception]()
    known: dict[str, float] = {}
    with _undisturbed(device), torch.enable_grad():
        look = Look(module, inputs, targets, loss, needs, seed)
        for name, one in single.items():
            start = time.perf_counter()
            try:
                value, reason = one.score(look), ""
            except SettingError:
                raise
            except (ForetellError, ArithmeticError, RuntimeError, TypeError, ValueError) as error:
                value, reason = math.nan, " ".join(str(error).split())[:300]
                errors.append(error)
            known[name] = value if math.isfinite(value) else math.nan
            found.seconds[name] = time.perf_counter() - start
            if not math.isfinite(value):
                found.reasons[name] = reason or f"the score is {value}"
    if len(errors) == len(single) and not all(isinstance(e, ForetellError) for e in errors):
        raise SpaceError(f"the network does not run on the data: {errors[0]}") from errors[0]
    better = {name: one.higher_is_better for name, one in single.items()}
    for name, each in wanted.items():
        if isinstance(each, Aggregate):
            found[name] = each.alone(known, better)
            found.seconds[name] = sum(found.seconds[part] for part in each.ranks.names)
        else:
            found[name] = known[name]
    found.reasons = {name: why for name, why in found.reasons.items() if name in wanted}
    found.seconds = {name: found.seconds[name] for name in wanted}
    return found


@contextlib.contextmanager
def _undisturbed(device: torch.device) -> Iterator[None]:
    """Global generators, a card's too, are put back; a card computes with all digits."""
    if device.type != "cuda":
        with torch.random.fork_rng(devices=[]):
            yield
        return
    exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    with torch.random.fork_rng(devices=[device]), torch.cuda.device(device), exact:
        yield


def resolve(names: Names) -> dict[str, Proxy | Aggregate]:
    """Name -> proxy or aggregate, of names of the catalog or what one has made."""
    if isinstance(names, Mapping):
        return dict(names)
    listed = [names] if isinstance(names, str) else list(names)
    if not listed:
        raise SettingError("names of proxies", expected="at least one", got="none")
    return {name: _catalog.get("proxy", name) for name in listed}


def components(wanted: Mapping[str, Proxy | Aggregate]) -> dict[str, Proxy]:
    """The proxies that have to be computed, those of aggregates included."""
    found = {name: one for name, one in wanted.items() if not isinstance(one, Aggregate)}
    for one in wanted.values():
        if isinstance(one, Aggregate):
            for part in one.ranks.names:
                if part not in found:
                    found[part] = _catalog.get("proxy", part)
    return found


def ranked(name: str | Ranks, scores: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
    """An aggregate among n networks, higher is better.

    Args:
        name: of an aggregate of the catalog, or an expression: `rank("snip") + log_rank("zen")`.
        scores: of each proxy that it needs, (n,); NaN where there is none.

    Shapes: n scores each to (n,).

    >>> ranked("te-nas", {"ntk-cond": [9.0, 2.0, 4.0], "linear-regions": [1.0, 7.0, 5.0]}).tolist()
    [0.66..., 2.0, 1.33...]
    """
    expression = name if isinstance(name, Ranks) else _aggregate(name).ranks
    better = {
        part: bool(_catalog.row("proxy", part).load().higher_is_better)
        for part in expression.names
        if part in _catalog.names("proxy")
    }
    return expression.of(scores, better)


def _aggregate(name: str) -> Aggregate:
    found = _catalog.get("proxy", name)
    if isinstance(found, Aggregate):
        return found
    raise SettingError(
        f"proxy {name!r}",
        expected="an aggregate",
        got="the score of a network alone",
        hint=f"foretell.proxies.rank({name!r})",
    )
