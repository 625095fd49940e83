"""States that follow from the past round by round, without being computed from the start each time.

A strategy has no state. What some of them call one (the weights of a policy, a table of values, who
climbs where) is a fold over what is known, and a pure function of it; only the time that it takes
would grow with each ask. `folded` remembers the latest such states, and goes on from there when the
same past has become longer. What it gives does not depend on what it remembers.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from foretell.search.history import History
from foretell.spaces.base import Space

S = TypeVar("S")

_KEPT = 32  # states of each space that are remembered
# of each space: (which fold, steps, digest of the past) -> state, the latest last
_memory: WeakKeyDictionary[Space, OrderedDict[tuple[str, int, bytes], Any]] = WeakKeyDictionary()


def folded(
    space: Space,
    name: str,
    records: History,
    chunk: int,
    start: Callable[[], S],
    step: Callable[[S, History, int], S],
) -> S:
    """start(), then step(state, the next `chunk` records, their number) while there are so many.

    Args:
        space: of the rows.
        name: says which fold this is, with all settings that it depends on.
        records: of the past, oldest first; one that is longer goes on as this one.
        chunk: records a step.
        start: the state before everything.
        step: makes a new state of one, which it leaves as it is; depends on its arguments alone.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> past = History.of(space, space.sample(7, rng=0), range(7))
    >>> add = lambda state, now, k: state + float(now.y.sum())
    >>> folded(space, "sum of y", past, 3, lambda: 0.0, add)
    15.0
    """
    memory = _memory.setdefault(space, OrderedDict())
    last = len(records) // chunk
    at, state = 0, None
    for key in reversed(list(memory)):
        if key[0] == name and key[1] <= last and key == _key(name, records, key[1], chunk):
            at, state = key[1], memory[key]
            break
    if state is None:
        state = start()
    for k in range(at, last):
        state = step(state, records[slice(k * chunk, (k + 1) * chunk)], k)
    if last:
        memory[key := _key(name, records, last, chunk)] = state
        memory.move_to_end(key)
        while len(memory) > _KEPT:
            memory.popitem(last=False)
    return state


def _key(name: str, records: History, steps: int, chunk: int) -> tuple[str, int, bytes]:
    found = hashlib.blake2b(digest_size=16)
    for column in (records.X, records.y):
        found.update(np.ascontiguousarray(column[: steps * chunk]).tobytes())
    return name, steps, found.digest()
