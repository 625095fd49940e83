"""Numbers: options that are amounts, ordered and scaled, and totals of repeated decisions."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.encodings.base import Encoding
from foretell.spaces.base import Rows, Space
from foretell.spaces.parts.layout import Layout

# an exponent within words has a sign: "lr1e-3", but "k3e6" are two numbers
_AMOUNT = r"(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]\d+)?"
_NUMBER = re.compile(rf"(?<![\d.]){_AMOUNT}(?![\d.])")
_RATIO = re.compile(rf"(?<![\d.])(?:\d+/[1-9]\d*|{_AMOUNT})(?![\d.])")
_SIGNED = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\Z")
_LABEL = re.compile(r"(?<![\d.])0\d")  # 007 is a name
_PRODUCTS = 16
Floats = NDArray[np.float64]


class Numbers(Encoding):
    """Decisions whose options are numbers, as ordered features, and totals of repeated ones.

    A decision counts when all its options are numbers, or are text with the same words around the
    same count of numbers: 16, "16ch", "conv3", "k3_e4"; labels such as "007" do not. With v the
    number of the option taken,

        u(v) = log v                where all options are positive: what matters is the ratio,
        u(v) = log(1 + v / m)       where some are 0, m being the smallest other one,
        u(v) = v                    where some are negative;

    each decision's u is standardised over its options, and 0 where the decision does not apply.
    Behind these columns, for each decision that is repeated, and for all that are called alike but
    for a number (`depth_1`, `depth_2`; `e1_0` to `e5_3`), there are over those that apply

        log(1 + sum v),    mean u,    log(1 + how many) where that varies,

    and log(1 + sum_i prod_k v_ik) of the decisions k that are repeated in step: layers by width.
    Where all are positive they may be widths, so that what weighs is products: there are

        log(1 + sum_i v_i v_i+1),    log(1 + sum_i w (w + v_i))

    of those that follow each other, and with each positive w that is decided once and is not how
    many there are (up to 16 of the latter).

    Spaces whose integers are places or names (NAS-Bench-101's edges) have no such features.

    Args:
        space: the space whose rows it sees.

    Shapes: (n, d) to (n, f); f is 0 where no decision is a number.

    >>> import foretell as ft
    >>> own = ft.Space.from_choices({"depth": [1, 2], "width": ft.choice(["8ch", "16ch", "32ch"],
    ...     repeat="depth"), "op": ["conv", "pool"]}, build=print)
    >>> Numbers(own).transform(own.from_str(["depth=2,width_0=8ch,width_1=32ch,op=pool"])).round(2)
    array([[ 1.  , -1.22,  1.22,  3.71,  0.  ,  1.1 ,  5.55]], dtype=float32)
    """

    def __init__(self, space: Space) -> None:
        self.space = space

    def groups(self) -> NDArray[np.int64]:
        """The repetitions of a decision belong together; each total is one of its own."""
        groups = np.array(plan(self.space).decisions, dtype=np.int64)
        totals = groups < 0
        groups[totals] = groups.max(initial=-1) + 1 + np.arange(totals.sum())
        return groups

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Features (n, f)."""
        known = plan(self.space)
        active = self.space.active(X)
        out: list[Floats] = [
            np.where(active[:, one.at], one.scaled[X[:, one.at]], 0.0) for one in known.columns
        ]
        for total in known.totals:
            out += total.features(X, active)
        if not out:
            return np.zeros((len(X), 0), dtype=np.float32)
        return np.stack(out, axis=1).astype(np.float32)


def magnitude(space: Space, X: Rows) -> Floats:
    """A guess of sizes where none can be had: sum over decisions of log(1 + sum v), (n,).

    The inner sum is over the repetitions that apply, and over decisions that are called alike but
    for a number; decisions with negative options are left out. It is 0 where nothing is a number.
    """
    known, active = plan(space), space.active(X)
    out = np.zeros(len(X))
    for decision in sorted({one for one in known.decisions if one >= 0}):
        columns = [
            column
            for column, of in zip(known.columns, known.decisions, strict=False)
            if of == decision
        ]
        if all(column.raw.min() >= 0 for column in columns):
            there = active[:, [column.at for column in columns]]
            out += np.log1p((_of("raw", tuple(columns), X) * there).sum(axis=1))
    return out


@dataclass(frozen=True)
class Column:
    """One number of the options of the decision in column `at`."""

    at: int
    raw: Floats  # of each option
    scaled: Floats


@dataclass(frozen=True)
class Total:
    """Decisions taken together: `together[k][i]` is the i-th repetition of decision k."""

    together: tuple[tuple[Column, ...], ...]
    varies: bool = False  # whether not all of them always apply
    positive: bool = False  # whether all are
    beside: tuple[Column, ...] = ()  # what is decided once

    @property
    def n_features(self) -> int:
        """How many there are."""
        if len(self.together) > 1:
            return 1
        return 2 + self.varies + self.positive + len(self.beside)

    def features(self, X: Rows, active: NDArray[np.bool_]) -> list[Floats]:
        """Each (n,): sum, mean, count and products of a single decision, else the sum of products
        of all."""
        there = [active[:, [one.at for one in columns]] for columns in self.together]
        if len(self.together) > 1:
            product = np.any(there, axis=0).astype(np.float64)
            for columns, mask in zip(self.together, there, strict=True):
                product *= np.where(mask, _of("raw", columns, X), 1.0)
            return [_signed_log(product.sum(axis=1))]
        (columns,), (mask,) = self.together, there
        count = mask.sum(axis=1)
        raw = _of("raw", columns, X) * mask
        total = raw.sum(axis=1)
        mean = (_of("scaled", columns, X) * mask).sum(axis=1) / np.maximum(count, 1)
        found = [_signed_log(total), mean, *([np.log1p(count)] if self.varies else [])]
        if self.positive:
            found.append(np.log1p(_in_turn(raw)))
        for one in self.beside:
            w = one.raw[X[:, one.at]] * active[:, one.at]
            found.append(np.log1p(w * (count * w + total)))
        return found


@dataclass(frozen=True)
class Plan:
    """The features of a space: its columns, then its totals."""

    columns: tuple[Column, ...]
    totals: tuple[Total, ...]
    names: tuple[str, ...]  # of each feature
    decisions: tuple[int, ...]  # of each feature: those of one decision, or of totals, are equal


def numbers_of(options: tuple[Any, ...]) -> list[Floats] | None:
    """The numbers of each option, one array (options,) for each place; None where it has words."""
    if any(isinstance(option, (bool, np.bool_)) for option in options):
        return None
    texts = [str(option).strip() for option in options]
    if len(texts) < 2:
        return None
    if all(_SIGNED.match(text) for text in texts) and not any(map(_LABEL.match, texts)):
        table = np.array([[float(text)] for text in texts])
        return list(table.T) if np.isfinite(table).all() else None
    if any(map(_LABEL.search, texts)):
        return None
    for pattern in (_RATIO, _NUMBER):  # 1/4 and 1/2, but 8/16 and 16/32 are pairs
        found = [[_value(number) for number in pattern.findall(text)] for text in texts]
        if len({pattern.sub("#", text) for text in texts}) == 1 and found[0]:
            table = np.array(found)
            if np.isfinite(table).all() and (pattern is _NUMBER or _distinct(table)):
                return list(table.T)
    return None


def _value(text: str) -> float:
    """A number, or the ratio of two."""
    above, _, below = text.partition("/")
    return float(above) / float(below) if below else float(above)


def _distinct(table: Floats) -> bool:
    return len(np.unique(table, axis=0)) == len(table)


@functools.lru_cache(maxsize=64)
def plan(space: Space) -> Plan:
    """What `Numbers` says of a space."""
    found: dict[tuple[str, int], list[Column]] = {}  # decision and place -> its repetitions
    steps: dict[tuple[str, int], Any] = {}  # what they are repeated by
    alike: dict[tuple[str, int], list[tuple[str, int]]] = {}  # names but for numbers
    layout = space._layout
    for name, group in layout.groups.items() if space.amounts else ():
        at, known = range(group.start, group.stop), list[Floats]()
        for k, raw in enumerate(_numbers(layout, group)):
            if np.ptp(raw) > 0 and not any(np.array_equal(raw, one) for one in known):
                known.append(raw)  # 3x3, 5x5
                key = (name, k)
                found[key] = [Column(j, raw, _scaled(raw)) for j in at]
                steps[key] = tuple(layout.parent[j] for j in at)
                alike.setdefault((re.sub(r"\d+", "#", name), k), []).append(key)
    columns, names, decisions = [], [], []
    for number, members in enumerate(alike.values()):
        for key in members:
            for i, column in enumerate(found[key]):
                columns.append(column)
                names.append(f"{key[0]}_{i}" if len(found[key]) > 1 else key[0])
                decisions.append(number)
    totals, told = [], []
    once = [found[keys[0]][0] for keys in alike.values() if sum(len(found[k]) for k in keys) == 1]
    for many in _with_products(list(_repeated(layout, found, steps, alike)), once, layout):
        totals.append(many)
        told += [f"total {len(totals)}"] * many.n_features
    return Plan(tuple(columns), tuple(totals), (*names, *told), (*decisions, *[-1] * len(told)))


def _numbers(layout: Layout, group: slice) -> list[Floats]:
    """The numbers of the options of a decision, for each place; none where it is never taken."""
    if group.stop == group.start:
        return []
    return numbers_of(layout.columns[group.start].options) or []


def _repeated(
    layout: Layout,
    found: dict[tuple[str, int], list[Column]],
    steps: dict[tuple[str, int], Any],
    alike: dict[tuple[str, int], list[tuple[str, int]]],
) -> Iterator[Total]:
    """Decisions that are repeated; all that are called alike; and products of those in step."""
    alone = {key: (tuple(one), steps[key]) for key, one in found.items() if len(one) > 1}
    joined = {
        name: (
            tuple(column for key in keys for column in found[key]),
            tuple(len(found[key]) for key in keys),
        )
        for name, keys in alike.items()
        if len(keys) > 1
    }
    for some in (alone, joined):
        in_step: dict[Any, list[tuple[Column, ...]]] = {}
        for columns, step in some.values():
            yield Total((columns,), any(layout.parent[one.at] >= 0 for one in columns))
            if all(column.raw.min() > 0 for column in columns):
                in_step.setdefault(step, []).append(columns)
        for together in in_step.values():
            if len(together) > 1:
                yield Total(tuple(together))


def _with_products(totals: list[Total], once: list[Column], layout: Layout) -> list[Total]:
    """The totals, with products where all numbers are positive."""
    widths = [column for column in once if column.raw.min() > 0]
    beside: dict[int, tuple[Column, ...]] = {}
    for k, (columns, *more) in enumerate(total.together for total in totals):
        if not more and all(column.raw.min() > 0 for column in columns):
            counts = {layout.parent[column.at] for column in columns}
            beside[k] = tuple(column for column in widths if column.at not in counts)
    few = sum(map(len, beside.values())) <= _PRODUCTS
    return [
        replace(total, positive=True, beside=beside[k] if few else ()) if k in beside else total
        for k, total in enumerate(totals)
    ]


def _in_turn(raw: Floats) -> Floats:
    """Sum of the products of positive numbers (n, k) that follow each other, over zeros, (n,)."""
    total, before = np.zeros(len(raw)), np.zeros(len(raw))
    for v in raw.T:
        total += before * v
        before = np.where(v > 0, v, before)
    return total


def _scaled(raw: Floats) -> Floats:
    """u of each option, standardised."""
    if raw.min() > 0:
        u = np.log(raw)
    elif raw.min() == 0:
        u = np.log1p(raw / raw[raw > 0].min())
    else:
        u = raw
    scaled: Floats = (u - u.mean()) / u.std()
    return scaled


def _of(what: str, columns: tuple[Column, ...], X: Rows) -> Floats:
    return np.stack([getattr(one, what)[X[:, one.at]] for one in columns], axis=1)


def _signed_log(total: Floats) -> Floats:
    signed: Floats = np.sign(total) * np.log1p(np.abs(total))
    return signed
