"""Whether a space works, tried out and said in words: behind `foretell space check`."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import cloudpickle
import numpy as np

from foretell._rng import as_rng
from foretell.spaces.base import Rng, Rows, Space
from foretell.spaces.parts.finding import Finding, failed
from foretell.spaces.parts.reason import reason
from foretell.spaces.parts.trials import networks

__all__ = ["Finding", "check"]

LISTED = 20_000  # spaces up to this size are looked at as a whole


def check(space: Space, n: int = 8, rng: Rng = 0) -> list[Finding]:
    """Try a space out: rows, strings, graph view, and `n` random networks forward and backward.

    Whatever the space's code does wrong is a finding, never an exception. Networks see random
    inputs, two at a time, of the space's own `input_shape`, and once of another shape.

    Args:
        space: to look at.
        n: how many networks to build.
        rng: seed or generator of rows and inputs.

    Returns: findings in the order of the checks; no "error" among them means ready to search.

    >>> import foretell as ft
    >>> def build(decisions, input_shape, n_outputs):
    ...     return None
    >>> own = ft.Space.from_choices({"width": [8, 16]}, build=build)
    >>> [finding.code for finding in check(own) if finding.level == "error"]
    ['build']
    >>> print(next(f.text for f in check(own) if f.level == "error"))
    `build` returned NoneType for all 2 networks, such as 'width=16'; return an nn.Module
    """
    return list(_findings(space, n, as_rng(rng)))


def _findings(space: Any, n: int, rng: np.random.Generator) -> Iterator[Finding]:
    if not isinstance(space, Space):
        yield Finding("error", "space", f"this is {type(space).__name__}; pass an ft.Space")
        return
    if "choices" not in vars(space):
        yield Finding("error", "space", "no choices; call super().__init__() in `__init__`")
        return
    n = max(1, n)
    try:
        X = space.sample(max(64, n), rng)
    except Exception as error:
        yield failed("sample", "drawing rows", error)
        return
    if np.shape(X) != (max(64, n), space.d):
        text = f"`sample` gives shape {np.shape(X)}; expected {(max(64, n), space.d)}"
        yield Finding("error", "sample", text)
        return
    for look in (_counts, _rows, _moves, _strings, _graphs, _sends):
        try:
            yield from look(space, X)
        except Exception as error:
            yield failed(look.__name__[1:], f"checking {look.__doc__}", error)
    try:
        _, first = np.unique(X, axis=0, return_index=True)
        yield from networks(space, X[np.sort(first)][:n], rng)
    except Exception as error:
        yield failed("networks", "checking the networks", error)


def _counts(space: Space, X: Rows) -> Iterator[Finding]:
    """the size"""
    size = space.size
    yield Finding("info", "size", f"{size:,} architectures of {space.d} decisions")
    if size > LISTED:
        return
    rows = np.concatenate([np.zeros((0, space.d), dtype=X.dtype), *space.enumerate()])
    if len(rows) != size:
        text = f"`enumerate` yields {len(rows):,} rows and `size` is {size:,}; make them agree"
        yield Finding("error", "size", text)
    keys, back, times = np.unique(space.row_key(rows), return_inverse=True, return_counts=True)
    if len(keys) < len(rows):
        one, other = rows[back == np.argmax(times)][:2]
        text = (
            f"{len(rows) - len(keys):,} of {len(rows):,} rows share a key with another, such as "
            f"{one.tolist()} and {other.tolist()}; `enumerate` each network once, and give "
            "different networks different keys in `row_key`"
        )
        yield Finding("error", "keys", text)


def _rows(space: Space, X: Rows) -> Iterator[Finding]:
    """which rows belong to the space"""
    once = space.canonical_form(X)
    if np.shape(once) != X.shape:
        text = f"`canonical_form` turns shape {X.shape} into {np.shape(once)}; keep the shape"
        yield Finding("error", "canonical", text)
        return
    twice = space.canonical_form(once)
    changed = np.flatnonzero((once != twice).any(axis=1))
    if len(changed):
        text = (
            f"`canonical_form` is not stable: row {X[changed[0]].tolist()} becomes "
            f"{once[changed[0]].tolist()}, and that {twice[changed[0]].tolist()}; it must give "
            "its own results back"
        )
        yield Finding("error", "canonical", text)
    inside = space.contains(once)
    if not inside.all():
        text = f"`sample` gives rows that `contains` denies, such as {once[~inside][0].tolist()}"
        yield Finding("error", "sample", text)
    keys = space.row_key(X)
    if keys.dtype != np.uint64 or keys.shape != (len(X),):
        text = f"`row_key` gives {keys.dtype} of shape {keys.shape}; expected uint64, one per row"
        yield Finding("error", "keys", text)


def _moves(space: Space, X: Rows) -> Iterator[Finding]:
    """mutation"""
    children = space.mutate(X, rng=0)
    if np.shape(children) != X.shape or not space.contains(children).all():
        yield Finding("error", "mutate", "`mutate` gives rows that are not of the space")
    around = space.neighbors(X[0])
    if len(around) and not space.contains(around).all():
        yield Finding("error", "neighbors", "`neighbors` gives rows that are not of the space")
    if not len(around):
        text = "a random row has no neighbour: evolution cannot move; give decisions more options"
        yield Finding("warning", "neighbors", text)


def _strings(space: Space, X: Rows) -> Iterator[Finding]:
    """strings"""
    strings = space.to_str(X)
    back = space.from_str(strings)
    lost = np.flatnonzero(space.row_key(back) != space.row_key(X))
    if len(lost):
        text = (
            f"{strings[lost[0]]!r} is read back as {space.to_str(back[lost[:1]])[0]!r}; "
            "`from_str` must undo `to_str`"
        )
        yield Finding("error", "strings", text)
    else:
        yield Finding("info", "strings", f"an architecture is written {strings[0]!r}")


def _graphs(space: Space, X: Rows) -> Iterator[Finding]:
    """the graph view"""
    ops, adjacency = space.graphs(X)
    words = len(space.vocabulary)
    n, v = len(X), np.shape(ops)[-1]
    if np.shape(ops) != (n, v) or np.shape(adjacency) != (n, v, v):
        text = (
            f"`graphs` gives shapes {np.shape(ops)} and {np.shape(adjacency)}; "
            f"expected ({n}, v) and ({n}, v, v)"
        )
        yield Finding("error", "graphs", text)
        return
    absent = ops < 0
    if ops.max() >= words or np.tril(adjacency).any():
        text = (
            "`graphs` must use operations 0 to len(vocabulary) - 1, -1 for no vertex, and edges "
            "from earlier to later vertices"
        )
        yield Finding("error", "graphs", text)
    elif (adjacency & (absent[:, :, None] | absent[:, None, :])).any():
        yield Finding("error", "graphs", "`graphs` has edges at vertices that are not there")
    else:
        yield Finding("info", "graphs", f"graphs of up to {v} vertices and {words} kinds")


def _sends(space: Space, X: Rows) -> Iterator[Finding]:
    """the way to worker processes"""
    try:
        back = pickle.loads(cloudpickle.dumps(space))  # noqa: S301  # our own bytes
    except Exception as error:
        text = (
            f"the space cannot be sent to worker processes: {reason(error)}; keep open files, "
            "locks and devices out of it"
        )
        yield Finding("error", "pickle", text)
        return
    if not np.array_equal(back.row_key(X), space.row_key(X)):
        yield Finding("error", "pickle", "the space changes when it is sent to a worker process")
