"""Recipes of recurrent cells as text: ours, and that of NAS-Bench-NLP's released files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

OPS = (
    ("linear2", "linear", 2),
    ("linear3", "linear", 3),
    ("blend", "blend", 3),
    ("prod", "elementwise_prod", 2),
    ("sum", "elementwise_sum", 2),
    ("tanh", "activation_tanh", 1),
    ("sigm", "activation_sigm", 1),
    ("leaky_relu", "activation_leaky_relu", 1),
)  # short name, name in a recipe, inputs
LEAVES = ("x", "h0", "h1", "h2")  # what enters a step: its input, and up to three states
STATES = len(LEAVES) - 1

_SHORT = [op.rstrip("23") for op, *_ in OPS]
_NUMBER = {(_SHORT[k], inputs): k for k, (*_, inputs) in enumerate(OPS)}


class Node(NamedTuple):
    """One operation, a number of `OPS`; what it reads: 0 to 3 a leaf, 4 + k node k."""

    op: int
    sources: list[int]


class Recipe(NamedTuple):
    """Nodes, each after what it reads, and the node of each new state."""

    nodes: list[Node]
    new: list[int]

    def __str__(self) -> str:
        nodes = [" ".join([_SHORT[op], *map(_thing, sources)]) for op, sources in self.nodes]
        return "; ".join(nodes) + " -> " + " ".join(map(str, self.new))


def parse(text: str) -> Recipe:
    """The recipe of `linear x h0; tanh 0 -> 1`, or of the JSON of the released files.

    Raises: ValueError, KeyError, TypeError, AttributeError or RecursionError where it is none.

    >>> parse("linear x h0; tanh 0 -> 1")
    Recipe(nodes=[Node(op=0, sources=[0, 1]), Node(op=5, sources=[4])], new=[1])
    """
    if text.startswith("{"):
        nodes, new = _ordered(json.loads(text))
    else:
        body, arrow, ends = text.partition(" -> ")
        if not arrow:
            raise ValueError("(no ' -> ')")
        nodes = [part.split(" ") for part in body.split("; ")]
        new = [_whole(word) for word in ends.split(" ")]
    recipe = Recipe([_node(j, words) for j, words in enumerate(nodes)], new)
    if not 1 <= len(new) <= STATES:
        raise ValueError(f"{len(new)} states")
    if max(new) >= len(nodes):
        raise ValueError(f"state at node {max(new)}")
    return recipe


def _node(j: int, words: list[str]) -> Node:
    op, *reads = words
    if (op, len(reads)) not in _NUMBER:
        raise ValueError(f"{op} of {len(reads)}")
    sources = [LEAVES.index(w) if w in LEAVES else len(LEAVES) + _whole(w) for w in reads]
    if max(sources) >= len(LEAVES) + j:
        raise ValueError(f"node {j} reads {reads[sources.index(max(sources))]}")
    return Node(_NUMBER[op, len(reads)], sources)


def _thing(source: int) -> str:
    return LEAVES[source] if source < len(LEAVES) else str(source - len(LEAVES))


def _whole(word: str) -> int:
    if not word.isascii() or not word.isdigit() or (len(word) > 1 and word[0] == "0"):
        raise ValueError(f"{word!r} is no node")
    return int(word)


def _ordered(recipe: Mapping[str, Any]) -> tuple[list[list[str]], list[int]]:
    """Nodes of a recipe in an order in which sources come first, and those of the new states."""
    leaves = {"x": "x", **{f"h_prev_{i}": LEAVES[1 + i] for i in range(STATES)}}
    short = {name: op.rstrip("23") for op, name, _ in OPS}
    place: dict[str, int] = {}
    nodes: list[list[str]] = []
    waiting = list(recipe)
    while waiting:
        later = []
        for name in waiting:
            reads = [str(word) for word in recipe[name]["input"]]
            if any(word not in leaves and word not in place for word in reads):
                later.append(name)
                continue
            place[name] = len(nodes)
            words = (leaves.get(word) or str(place[word]) for word in reads)
            nodes.append([short[recipe[name]["op"]], *words])
        if len(later) == len(waiting):
            raise ValueError(f"the inputs of {later[0]}")
        waiting = later
    new = [place.get(f"h_new_{i}", -1) for i in range(STATES)]
    count = sum(k >= 0 for k in new)
    if not count or min(new[:count]) < 0:
        raise ValueError("(no h_new_0, or one left out)")
    return nodes, new[:count]
