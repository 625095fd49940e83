"""What a search space is: named choices, rows of integers, and everything that follows.

A space is `choices` and `build`. Sampling, mutation, neighbours, enumeration, keys, strings, a
graph view and costs come free from here; a space overrides the ones for which it knows better.
No torch is imported before `build`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell._rng import as_rng
from foretell.errors import SpaceError
from foretell.spaces import _hash

Rows = NDArray[np.integer[Any]]  # (n, d): architectures
Rng = int | np.random.Generator | None


@dataclass(frozen=True)
class Choice:
    """One decision: its name, its options, and how often it is taken.

    `repeat` is a count, or the name of another choice whose options are counts: then the i-th
    repetition applies only in rows where that count is larger than i.
    """

    options: tuple[Any, ...]
    name: str = ""
    repeat: int | str = 1

    def __post_init__(self) -> None:
        labels = [str(option) for option in self.options]
        if not labels or len(set(labels)) < len(labels):
            raise SpaceError(
                f"choice {self.name!r}", expected="one or more different options", got=labels
            )
        bad = [text for text in labels if set(text) & set(",=\n") or text != text.strip()]
        if bad:
            raise SpaceError(
                f"choice {self.name!r}",
                expected="options that print without ',' or '=' or outer blanks",
                got=bad,
            )


def choice(options: Sequence[Any], repeat: int | str = 1) -> Any:
    """A named decision of a space class, or of `Space.from_choices`.

    Args:
        options: the values that the decision can take (any printable objects).
        repeat: how many times it is taken, or the name of the choice that says so.
    """
    return Choice(tuple(options), repeat=repeat)


class Graphs(NamedTuple):
    """The DAG view of a batch.

    Shapes: `ops` (n, v) index into `space.vocabulary`, -1 for a vertex that is not there;
    `adjacency` (n, v, v) bool, `[a, i, j]` true for an edge i -> j; vertices are in topological
    order, so every edge has i < j.
    """

    ops: NDArray[np.int8]
    adjacency: NDArray[np.bool_]


class Costs(NamedTuple):
    """What a network costs: `params` trainable numbers; `flops` of one forward pass of one input.

    Flops count two for each multiply-add of convolutions and matrix products and nothing else,
    as `torch.utils.flop_counter` does. Both are int64 arrays of shape (n,).
    """

    params: NDArray[np.int64]
    flops: NDArray[np.int64]


class Space:
    """A search space: `choices` (names and options of each column of `X`) and `build`.

    Define an own one by naming choices in a subclass:

    >>> class Tiny(Space):
    ...     depth = choice([1, 2])
    ...     width = choice([8, 16, 32], repeat="depth")
    ...     def build(self, x, input_shape, n_outputs):
    ...         ...  # return an nn.Module for self.decode(x)
    >>> space = Tiny()
    >>> space.d, space.size
    (3, 12)
    >>> space.decode(space.from_str(["depth=2,width_0=8,width_1=32"])[0])
    {'depth': 2, 'width': (8, 32)}

    Args:
        input_shape: of one example, without the batch: (channels, height, width), or (features,).
        n_outputs: number of classes, or of regression targets.
    """

    name: str = ""
    choices: tuple[Choice, ...]
    closed_form_costs: ClassVar[bool] = False  # `costs` needs no network: cheap on millions of rows
    _declared: ClassVar[tuple[Choice, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = [
            replace(value, name=key)
            for key, value in vars(cls).items()
            if isinstance(value, Choice)
        ]
        if own:
            cls._declared = (*cls._declared, *own)

    def __init__(self, *, input_shape: tuple[int, ...] = (3, 32, 32), n_outputs: int = 10) -> None:
        self.input_shape = tuple(int(size) for size in input_shape)
        self.n_outputs = int(n_outputs)
        self.name = self.name or type(self).__name__
        self._set_choices(self._declared)

    def _set_choices(self, declared: Sequence[Choice]) -> None:
        if not declared:
            raise SpaceError(
                f"space {self.name!r} has no choices",
                hint="name some: `depth = ft.choice([2, 3, 4])` in the class body",
            )
        by_name = {one.name: one for one in declared}
        columns: list[Choice] = []
        self._groups: dict[str, slice] = {}  # decision name -> its columns
        drivers: list[tuple[str, str]] = []
        for one in declared:
            repeat = one.repeat
            if isinstance(repeat, str):
                driver = by_name.get(repeat)
                if (
                    driver is None
                    or driver.repeat != 1
                    or not all(isinstance(option, int) and option >= 0 for option in driver.options)
                ):
                    raise SpaceError(
                        f"choice {one.name!r} repeats {repeat!r}",
                        expected="the name of a choice that is taken once and counts",
                        got=None if driver is None else driver.options,
                    )
                drivers.append((one.name, repeat))
                repeat = max(driver.options)
            start = len(columns)
            columns += (
                [Choice(one.options, one.name)]
                if one.repeat == 1
                else [Choice(one.options, f"{one.name}_{i}") for i in range(repeat)]
            )
            self._groups[one.name] = slice(start, len(columns))
        self._single = {one.name for one in declared if one.repeat == 1}
        self._drivers = tuple(drivers)
        self.choices = tuple(columns)
        self.n_options = np.array([len(column.options) for column in columns])
        self._dtype = np.int8 if self.n_options.max() < 128 else np.int32
        self._labels = [{str(o): i for i, o in enumerate(c.options)} for c in columns]

    @staticmethod
    def from_choices(
        choices: Mapping[str, Sequence[Any] | Choice],
        build: Callable[[dict[str, Any], tuple[int, ...], int], Any],
        *,
        name: str = "own",
        input_shape: tuple[int, ...] = (3, 32, 32),
        n_outputs: int = 10,
    ) -> Space:
        """A space from a dict of options and a function that builds the network.

        Args:
            choices: name -> options, or name -> `ft.choice(options, repeat=...)`.
            build: `build(decisions, input_shape, n_outputs) -> nn.Module`, where `decisions` maps
                each name to the chosen option (a tuple of options for repeated choices).
            name: how the space is called in reports.
            input_shape: as for `Space`.
            n_outputs: as for `Space`.

        >>> own = Space.from_choices({"depth": [2, 3], "op": ["conv", "skip"]}, build=print)
        >>> own.size, own.to_str(own.sample(1, rng=0))
        (4, ['depth=3,op=skip'])
        """
        return _FromChoices(choices, build, name, input_shape, n_outputs)

    # -- what a row means ---------------------------------------------------------------------

    @property
    def d(self) -> int:
        """Number of decisions, the columns of `X`."""
        return len(self.choices)

    @property
    def size(self) -> int:
        """Number of architectures that `enumerate` yields (exact, a Python integer)."""
        return sum(math.prod(int(k) for k in free if k) for free, _ in self._blocks())

    def check(self, X: ArrayLike) -> Rows:
        """`X` as an integer array of shape (n, d), or an error that names the culprit."""
        array = np.asarray(X)
        if array.ndim != 2 or array.shape[1] != self.d:
            raise SpaceError(
                f"architectures of space {self.name!r}",
                expected=f"an integer array of shape (n, {self.d})",
                got=f"shape {array.shape}",
                hint="one architecture is a row: X[None, :]" if array.ndim == 1 else None,
            )
        if array.dtype.kind not in "iu":
            as_integers = array.astype(np.int64, copy=True) if array.dtype.kind in "fb" else None
            if as_integers is None or not np.array_equal(as_integers, array):
                raise SpaceError(
                    f"architectures of space {self.name!r}",
                    expected="integers",
                    got=f"dtype {array.dtype}",
                    hint="strings go through space.from_str",
                )
            array = as_integers
        bad = ~self._in_range(array)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise SpaceError(
                f"row {row}, decision {self.choices[column].name!r} of space {self.name!r}",
                expected=f"0 to {self.n_options[column] - 1}",
                got=int(array[row, column]),
            )
        array = array.astype(self._dtype, copy=False)
        valid = self.valid(array)
        if not valid.all():
            row = int(np.argmin(valid))
            raise SpaceError(f"row {row} is no network of space {self.name!r}", got=array[row])
        return array

    def contains(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Which rows are architectures of this space, shape (n,)."""
        array = np.asarray(X)
        if array.ndim != 2 or array.shape[1] != self.d or array.dtype.kind not in "iu":
            return np.zeros(len(array) if array.ndim else 0, dtype=bool)
        inside: NDArray[np.bool_] = self._in_range(array).all(axis=1)
        inside[inside] = self.valid(array[inside].astype(self._dtype))
        return inside

    def _in_range(self, array: Rows) -> NDArray[np.bool_]:
        result: NDArray[np.bool_] = (array >= 0) & (array < self.n_options)
        return result

    def valid(self, X: Rows) -> NDArray[np.bool_]:
        """Which in-range rows describe a network; all, unless a space says otherwise."""
        return np.ones(len(X), dtype=bool)

    def active(self, X: Rows) -> NDArray[np.bool_]:
        """Which decisions apply in which row, shape (n, d)."""
        mask = np.ones(X.shape, dtype=bool)
        for name, driver in self._drivers:
            group = self._groups[name]
            column = self._groups[driver].start
            counts = np.array(self.choices[column].options)[X[:, column]]
            mask[:, group] = np.arange(group.stop - group.start) < counts[:, None]
        return mask

    def canonical_form(self, X: Rows) -> Rows:
        """`X` with 0 in every decision that does not apply, so equal networks are equal rows."""
        return np.where(self.active(X), X, 0).astype(self._dtype, copy=False)

    def decode(self, x: ArrayLike) -> dict[str, Any]:
        """One row in words: name -> chosen option; a tuple of options for a repeated choice.

        Repetitions that do not apply in the row are left out of the tuple.
        """
        row = self.check(np.asarray(x)[None])
        active = self.active(row)[0]
        out: dict[str, Any] = {}
        for name, group in self._groups.items():
            picked = tuple(
                self.choices[j].options[row[0, j]]
                for j in range(group.start, group.stop)
                if active[j]
            )
            out[name] = picked[0] if name in self._single and picked else picked
        return out

    # -- moving about -------------------------------------------------------------------------

    def sample(self, n: int, rng: Rng = None) -> Rows:
        """`n` random rows in canonical form, each decision uniform over its options.

        Args:
            n: how many, with replacement.
            rng: seed or generator; None for fresh entropy.

        Shapes: returns (n, d).
        """
        rng = as_rng(rng)
        return self._until_valid(
            n,
            lambda k, _: self.canonical_form(
                rng.integers(0, self.n_options, size=(k, self.d)).astype(self._dtype)
            ),
        )

    def mutate(self, X: ArrayLike, rng: Rng = None) -> Rows:
        """Each row with one decision that applies changed to another of its options.

        Shapes: (n, d) to (n, d). Decisions with a single option are never picked.
        """
        rng = as_rng(rng)
        parents = self.canonical_form(self.check(X))
        movable = self.active(parents) & (self.n_options > 1)

        def draw(k: int, rows: NDArray[np.intp]) -> Rows:
            column = np.argmax(rng.random((k, self.d)) * movable[rows], axis=1)
            child = parents[rows].astype(np.int64)
            line = np.arange(k)
            options = self.n_options[column]
            step = 1 + np.floor(rng.random(k) * np.maximum(options - 1, 1)).astype(np.int64)
            child[line, column] = (child[line, column] + step) % options
            return self.canonical_form(child.astype(self._dtype))

        return self._until_valid(len(parents), draw)

    def _until_valid(self, n: int, draw: Callable[[int, NDArray[np.intp]], Rows]) -> Rows:
        """Draw rows, and again those that are not valid, until all are."""
        out = np.zeros((n, self.d), dtype=self._dtype)
        todo = np.arange(n)
        for _ in range(10_000):
            if not len(todo):
                return out
            rows = draw(len(todo), todo)
            good = self.valid(rows)
            out[todo[good]] = rows[good]
            todo = todo[~good]
        raise SpaceError(
            f"space {self.name!r} found no valid row in 10,000 draws",
            hint="widen `valid`, or override `sample` and `mutate`",
        )

    def neighbors(self, x: ArrayLike) -> Rows:
        """All different networks that one change of one decision reaches, shape (k, d)."""
        row = self.canonical_form(self.check(np.asarray(x)[None]))
        column = np.repeat(np.arange(self.d), self.n_options)
        option = np.concatenate([np.arange(k) for k in self.n_options])
        keep = self.active(row)[0, column] & (option != row[0, column])
        rows = np.repeat(row, keep.sum(), axis=0)
        rows[np.arange(len(rows)), column[keep]] = option[keep]
        rows = self.canonical_form(rows[self.valid(rows)])
        return np.unique(rows, axis=0) if len(rows) else rows

    def enumerate(self, batch: int = 65_536) -> Iterator[Rows]:
        """Every architecture once, in blocks of at most `batch` rows; constant memory."""
        for free, fixed in self._blocks():
            total = math.prod(int(k) for k in free if k)
            for start in range(0, total, batch):
                flat = np.arange(start, min(start + batch, total), dtype=np.int64)
                rows = np.tile(fixed, (len(flat), 1))
                for j in reversed(range(self.d)):
                    if free[j]:
                        flat, rows[:, j] = np.divmod(flat, free[j])
                rows = rows[self.valid(rows)]
                if len(rows):
                    yield rows

    def _blocks(self) -> Iterator[tuple[list[int], Rows]]:
        """The space as a union of grids: (options per column, 0 where fixed; the fixed row)."""
        columns = sorted({self._groups[driver].start for _, driver in self._drivers})
        for values in itertools.product(*(range(self.n_options[j]) for j in columns)):
            fixed = np.zeros((1, self.d), dtype=self._dtype)
            fixed[0, columns] = values
            free = np.where(self.active(fixed)[0], self.n_options, 0)
            free[columns] = 0
            yield [int(k) for k in free], fixed

    # -- identity -----------------------------------------------------------------------------

    def row_key(self, X: Rows) -> NDArray[np.uint64]:
        """A 64-bit identity of each row's network as written; tables and searches look up by it."""
        return self._index(self.canonical_form(X))

    def canonical(self, X: Rows) -> NDArray[np.uint64]:
        """A 64-bit key, equal exactly when two rows build the same function up to relabelling."""
        return self.row_key(X)

    def _index(self, X: Rows) -> NDArray[np.uint64]:
        """Position in the grid of all rows where that fits 64 bits, else a hash of the row."""
        if math.prod(int(k) for k in self.n_options) < 2**64:
            index = np.zeros(len(X), dtype=np.uint64)
            for j, options in enumerate(self.n_options):
                index = index * np.uint64(options) + X[:, j].astype(np.uint64)
            return index
        return _hash.combine(*X.T.astype(np.uint64))

    # -- other views --------------------------------------------------------------------------

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Names of the vertex operations of `graphs`; "input" and "output" come first."""
        seen = {
            f"{name}={option}": None
            for name, group in self._groups.items()
            if group.stop > group.start
            for option in self.choices[group.start].options
        }
        return ("input", "output", *seen)

    def graphs(self, X: Rows) -> Graphs:
        """The DAG view: by default the decisions that apply, as a chain in their order.

        Shapes: `ops` (n, v), `adjacency` (n, v, v), v = d + 2.
        """
        index = {word: i for i, word in enumerate(self.vocabulary)}
        n, v = len(X), self.d + 2
        ops = np.full((n, v), -1, dtype=np.int16 if len(index) > 127 else np.int8)
        ops[:, 0], ops[:, -1] = 0, 1
        for name, group in self._groups.items():
            for j in range(group.start, group.stop):
                words = np.array([index[f"{name}={o}"] for o in self.choices[j].options])
                ops[:, j + 1] = words[X[:, j]]
        ops[:, 1:-1][~self.active(X)] = -1
        # an edge joins a vertex to the next one that is there
        there = ops >= 0
        position = np.cumsum(there, axis=1)
        adjacency = (
            there[:, :, None]
            & there[:, None, :]
            & (position[:, None, :] - position[:, :, None] == 1)
        )
        return Graphs(ops, adjacency)

    def to_str(self, X: ArrayLike) -> list[str]:
        """The notation of the space; by default `name=option,...` of the decisions that apply."""
        rows = self.canonical_form(self.check(X))
        words = [[f"{c.name}={option}" for option in c.options] for c in self.choices]
        return [
            ",".join(words[j][row[j]] for j in np.flatnonzero(active))
            for row, active in zip(rows.tolist(), self.active(rows), strict=True)
        ]

    def from_str(self, strings: Sequence[str]) -> Rows:
        """Rows of the given strings; the inverse of `to_str`.

        Raises: SpaceError naming the first string that is not an architecture, and why.
        """
        if isinstance(strings, str):
            strings = [strings]
        rows = np.zeros((len(strings), self.d), dtype=self._dtype)
        for i, text in enumerate(strings):
            rows[i] = self._parse(text)
        return self.canonical_form(self.check(rows))

    def _parse(self, text: object) -> list[int]:
        column = {c.name: j for j, c in enumerate(self.choices)}
        row, seen = np.zeros(self.d, dtype=self._dtype), np.zeros(self.d, dtype=bool)
        for word in str(text).split(","):
            key, _, value = (part.strip() for part in word.partition("="))
            j = column.get(key)
            if j is None or value not in self._labels[j] or seen[j]:
                raise self._bad_string(text, word)
            row[j], seen[j] = self._labels[j][value], True
        missing = self.active(row[None])[0] & ~seen
        if missing.any():
            name = self.choices[int(np.argmax(missing))].name
            raise self._bad_string(text, f"(no {name!r})")
        return [int(value) for value in row]

    def _bad_string(self, text: object, culprit: object) -> SpaceError:
        short = str(text)
        return SpaceError(
            f"not an architecture of space {self.name!r}, at {str(culprit)[:80]!r}",
            expected=f"a string like {self.to_str(self.sample(1, rng=0))[0]!r}",
            got=repr(short if len(short) <= 120 else short[:117] + "..."),
        )

    # -- networks -----------------------------------------------------------------------------

    def build(self, x: Any, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """The `nn.Module` of one row, from (batch, *input_shape) to (batch, n_outputs)."""
        raise SpaceError(f"space {self.name!r} has no `build`", hint="define build(self, x, ...)")

    def costs(self, X: ArrayLike) -> Costs:
        """Parameters and flops of each row for the space's `input_shape` and `n_outputs`.

        By default every distinct row is built without memory for its weights (torch's meta
        device), some milliseconds each; spaces with `closed_form_costs` compute whole arrays.
        """
        from foretell.nets.costs import measure

        rows = self.canonical_form(self.check(X))
        _, first, back = np.unique(self.row_key(rows), return_index=True, return_inverse=True)
        shape, outputs = self.input_shape, self.n_outputs
        counted = [measure(lambda r=r: self.build(r, shape, outputs), shape) for r in rows[first]]
        table = np.array(counted, dtype=np.int64).reshape(-1, 2)[back]
        return Costs(table[:, 0], table[:, 1])

    def with_io(self, input_shape: Sequence[int], n_outputs: int) -> Self:
        """The same space for other data: networks adapt their stem and head."""
        import copy

        other = copy.copy(self)
        other.input_shape = tuple(int(size) for size in input_shape)
        other.n_outputs = int(n_outputs)
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # a space does not change, so scikit-learn's clone may share it

    def __repr__(self) -> str:
        return f"<space {self.name}: {self.d} decisions, {self.size:,} architectures>"


class _FromChoices(Space):
    """`Space.from_choices`."""

    def __init__(
        self,
        choices: Mapping[str, Sequence[Any] | Choice],
        build: Callable[[dict[str, Any], tuple[int, ...], int], Any],
        name: str,
        input_shape: tuple[int, ...],
        n_outputs: int,
    ) -> None:
        self.name = name
        self._declared = tuple(  # type: ignore[misc]  # per instance here
            replace(value, name=key) if isinstance(value, Choice) else Choice(tuple(value), key)
            for key, value in choices.items()
        )
        self._build = build
        super().__init__(input_shape=input_shape, n_outputs=n_outputs)

    def build(self, x: Any, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        return self._build(self.decode(x), input_shape, n_outputs)
