"""What a search space is: named choices, rows of integers, and everything that follows.

A space is `choices` and `build`. Sampling, mutation, neighbours, enumeration, keys, strings, a
graph view and costs come free from here; a space overrides the ones for which it knows better.
No torch is imported before `build`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell._rng import as_rng
from foretell.errors import SettingError, SpaceError
from foretell.graphs import hashing
from foretell.graphs.computation import Computations, joined
from foretell.graphs.view import Graphs
from foretell.spaces.parts import moves
from foretell.spaces.parts.built import Built
from foretell.spaces.parts.grid import Grid
from foretell.spaces.parts.layout import Choice, Layout, as_choice, choice
from foretell.spaces.parts.mixture import Columns, Mixture, columns
from foretell.spaces.parts.rows import Rng, Rows, as_integers, places
from foretell.spaces.parts.settings import io_of, no_cost, undivided
from foretell.spaces.parts.strings import Notation, NotationError
from foretell.spaces.parts.views import Costs, decision_chain, words
from foretell.spaces.parts.wiring import Wiring

__all__ = ["Choice", "Costs", "Graphs", "Rng", "Rows", "Space", "choice"]

COUNT_LIMIT = 2**24  # spaces with conditions of their own are counted by listing up to here


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
    settings: dict[str, Any]  # as given to the constructor by name, input and outputs apart
    closed_form_costs: ClassVar[bool] = False  # `costs` needs no network: cheap on millions of rows
    amounts: ClassVar[bool] = True  # numbers among the options are amounts, not places or names
    numbered: ClassVar[bool] = False  # whether strings may be numbers of a published order
    wiring: ClassVar[Wiring | None] = None  # how signals meet, where operations normalise them
    rule: ClassVar[str] = ""  # what `valid` asks for, in words, for its errors
    _declared: tuple[Choice, ...] = ()
    _mixing: Mapping[int, Any] = {}  # of a supernet, in the place of one option
    _build: Callable[[dict[str, Any], tuple[int, ...], int], Any] | None = None  # of `from_choices`

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        named = {one.name: one for one in cls._declared}
        for key, value in vars(cls).items():
            if isinstance(value, Choice):
                if key in vars(Space) or key.startswith("_"):
                    raise SpaceError(
                        f"a choice called {key!r} in {cls.__name__}",
                        expected="a name that `Space` does not use itself, without outer '_'",
                        hint="rename it",
                    )
                named[key] = as_choice(key, value)
        cls._declared = tuple(named.values())

    def __new__(cls, *args: Any, **settings: Any) -> Self:
        """Keeps the settings, so that a run can make the same space again."""
        space = super().__new__(cls)
        for name in ("input_shape", "n_outputs"):
            settings.pop(name, None)
        space.settings = settings
        return space

    def __init__(self, *, input_shape: Sequence[int] = (3, 32, 32), n_outputs: int = 10) -> None:
        self.name = self.name or type(self).__name__
        self.input_shape, self.n_outputs = io_of(self.name, input_shape, n_outputs)
        if not self._declared:
            raise SpaceError(
                f"space {self.name!r} has no choices",
                hint="name some: `depth = ft.choice([2, 3, 4])` in the class body",
            )
        self._layout = Layout.of(self._declared)
        self.choices = self._layout.columns
        self.n_options = np.array([len(column.options) for column in self.choices])
        self._places = places(self.n_options.tolist())
        self._dtype = np.int8 if self.n_options.max() < 128 else np.int32
        self._notation = Notation(self.choices)
        # whether which rows there are follows from the choices alone
        own = type(self)
        conditional = own.active is Space.active
        self._regular = (
            conditional and own.canonical_form is Space.canonical_form and own.valid is Space.valid
        )
        self._grid = Grid(self._layout, conditional)
        self._counted: int | None = self._grid.size if self._regular else None
        self._built = Built(self)

    @staticmethod
    def from_choices(
        choices: Mapping[str, Sequence[Any] | Choice],
        build: Callable[[dict[str, Any], tuple[int, ...], int], Any],
        *,
        name: str = "own",
        input_shape: Sequence[int] = (3, 32, 32),
        n_outputs: int = 10,
    ) -> Space:
        """A space from a dict of options and a function that builds the network.

        Args:
            choices: name -> options, or name -> `ft.choice(options, repeat=..., when=...)`.
            build: `build(decisions, input_shape, n_outputs) -> nn.Module`, where `decisions` maps
                each name to the chosen option (a tuple of options for repeated choices).
            name: how the space is called in reports.
            input_shape: as for `Space`.
            n_outputs: as for `Space`.

        >>> own = Space.from_choices({"depth": [2, 3], "op": ["conv", "skip"]}, build=print)
        >>> own.size, own.to_str(own.sample(1, rng=0))
        (4, ['depth=3,op=skip'])
        """
        if not isinstance(choices, Mapping) or not callable(build):
            raise SpaceError(
                f"space {name!r}",
                expected="choices as a dict, and a function `build`",
                got=f"{type(choices).__name__} and {type(build).__name__}",
            )
        space = Space.__new__(Space)
        space.name, space._build = name, build
        space._declared = tuple(as_choice(str(key), value) for key, value in choices.items())
        Space.__init__(space, input_shape=input_shape, n_outputs=n_outputs)
        return space

    # -- what a row means ---------------------------------------------------------------------

    @property
    def d(self) -> int:
        """Number of decisions, the columns of `X`."""
        return len(self.choices)

    @property
    def size(self) -> int:
        """Number of architectures that `enumerate` yields (exact, a Python integer).

        It follows from the choices; a space with its own `valid`, `active` or `canonical_form`
        is counted once by listing, up to 16,777,216 rows.

        Raises: SpaceError where there are more to list.
        """
        if self._counted is None:
            if self._grid.size > COUNT_LIMIT:
                raise SpaceError(
                    f"space {self.name!r} is too large to count: its own conditions pick from "
                    f"{self._grid.size:,} rows",
                    hint="override the property `size`",
                )
            self._counted = sum(map(len, self.enumerate()))
        return self._counted

    def check(self, X: ArrayLike) -> Rows:
        """`X` as an integer array of shape (n, d), or an error that names the culprit."""
        array = as_integers(X, self.d, self.name)
        bad = (array < 0) | (array >= self.n_options)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise SpaceError(
                f"row {row}, decision {self.choices[column].name!r} of space {self.name!r}",
                expected=f"0 to {self.n_options[column] - 1}",
                got=int(array[row, column]),
            )
        array = array.astype(self._dtype, copy=False)
        valid = self._is_valid(array)
        if not valid.all():
            row = int(np.argmin(valid))
            raise SpaceError(
                f"row {row} is no network of space {self.name!r}",
                expected=self.rule or None,
                got=array[row],
            )
        return array

    def _row(self, x: ArrayLike) -> Rows:
        """One architecture, checked, as a batch of one."""
        array = np.asarray(x)
        if array.ndim != 1:
            raise SpaceError(
                f"one architecture of space {self.name!r}",
                expected=f"shape ({self.d},)",
                got=f"shape {array.shape}",
                hint="take a row: X[0]" if array.ndim == 2 else None,
            )
        return self.check(array[None])

    def contains(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Which rows are architectures of this space, shape (n,)."""
        try:
            array = as_integers(X, self.d, self.name)
        except SpaceError:
            return np.zeros(len(X) if isinstance(X, (list, np.ndarray)) else 0, dtype=bool)
        inside: NDArray[np.bool_] = np.all((array >= 0) & (array < self.n_options), axis=1)
        inside[inside] = self._is_valid(array[inside].astype(self._dtype))
        return inside

    def valid(self, X: Rows) -> NDArray[np.bool_]:
        """Which rows in canonical form describe a network; all, unless a space says otherwise."""
        return np.ones(len(X), dtype=bool)

    def _is_valid(self, X: Rows) -> NDArray[np.bool_]:
        if type(self).valid is Space.valid:
            return np.ones(len(X), dtype=bool)
        answer = np.asarray(self.valid(self.canonical_form(X)))
        if answer.shape != (len(X),) or answer.dtype != np.bool_:
            raise SpaceError(
                f"`valid` of space {self.name!r}",
                expected=f"a bool for each row, shape ({len(X)},)",
                got=f"{answer.dtype} of shape {answer.shape}",
                hint="compare whole columns: return X[:, 0] != X[:, 1]",
            )
        return answer

    def active(self, X: Rows) -> NDArray[np.bool_]:
        """Which decisions apply in which row, shape (n, d)."""
        mask = np.ones(X.shape, dtype=bool)
        layout = self._layout
        for j in layout.order:
            parent = layout.parent[j]
            if parent >= 0:
                mask[:, j] = mask[:, parent] & layout.opens[j][X[:, parent]]
        return mask

    def canonical_form(self, X: Rows) -> Rows:
        """`X` with 0 in every decision that does not apply, so equal networks are equal rows."""
        return np.where(self.active(X), X, 0).astype(self._dtype, copy=False)

    def decode(self, x: ArrayLike) -> dict[str, Any]:
        """One row in words: name -> chosen option; a tuple of options for a repeated choice.

        Repetitions that do not apply in the row are left out of the tuple; a single decision that
        does not apply is None.
        """
        row = self._row(x)
        active = self.active(row)[0]
        out: dict[str, Any] = {}
        for name, group in self._layout.groups.items():
            taken = [j for j in range(group.start, group.stop) if active[j] or self._open(j)]
            picked = tuple(self._mixing.get(j, self.choices[j].options[row[0, j]]) for j in taken)
            if name in self._layout.single:
                out[name] = picked[0] if picked else None
            else:
                out[name] = picked
        return out

    def _open(self, j: int) -> bool:
        """Whether a column may apply in a supernet: what decides it is mixed."""
        parent = self._layout.parent[j]
        return parent in self._mixing or (parent >= 0 and self._open(parent))

    # -- moving about -------------------------------------------------------------------------

    def sample(self, n: int, rng: Rng = None) -> Rows:
        """`n` random rows in canonical form, each decision uniform over its options.

        Args:
            n: how many, with replacement.
            rng: seed or generator; None for fresh entropy.

        Shapes: returns (n, d).
        """
        return moves.sample(self, n, as_rng(rng))

    def mutate(self, X: ArrayLike, rng: Rng = None) -> Rows:
        """Each row with one decision that applies changed to another of its options.

        The decision is uniform over those that apply and have a choice, the option uniform over
        the others; decisions that apply only after the change are drawn at random. A row without
        any neighbour comes back as it is.

        Shapes: (n, d) to (n, d).
        """
        return moves.mutate(self, self.canonical_form(self.check(X)), as_rng(rng))

    def neighbors(self, x: ArrayLike) -> Rows:
        """All other networks that one change of one decision reaches, shape (k, d).

        Decisions that apply only after the change take their first option.
        """
        return moves.neighbors(self, self.canonical_form(self._row(x)))

    def enumerate(self, batch: int = 65_536) -> Iterator[Rows]:
        """Every architecture once, in blocks of at most `batch` rows; constant memory."""
        if batch < 1:
            raise SettingError("batch", expected="1 or more rows", got=batch)
        for start in range(0, self._grid.size, batch):
            rows = self._grid.rows(start, min(batch, self._grid.size - start), self._dtype)
            if not self._regular:
                rows = rows[(self.canonical_form(rows) == rows).all(axis=1)]
                rows = rows[self._is_valid(rows)]
            if len(rows):
                yield rows

    # -- identity -----------------------------------------------------------------------------

    def row_key(self, X: Rows) -> NDArray[np.uint64]:
        """A 64-bit identity of each row's network as written; tables and searches look up by it."""
        return self._index(self.canonical_form(X))

    def canonical(self, X: Rows) -> NDArray[np.uint64]:
        """A 64-bit key, equal exactly when two rows build the same function up to relabelling."""
        return self.row_key(X)

    def _index(self, X: Rows) -> NDArray[np.uint64]:
        """Position in the grid of all rows where that fits 64 bits, else a hash of the row."""
        if self._places is not None:
            index: NDArray[np.uint64] = X.astype(np.uint64) @ self._places
            return index
        return hashing.combine(*X.T.astype(np.uint64))

    # -- other views --------------------------------------------------------------------------

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Names of the vertex operations of `graphs`; "input" and "output" come first."""
        return ("input", "output", *words(self._layout))

    def graphs(self, X: Rows) -> Graphs:
        """The DAG view: by default the decisions that apply, as a chain in their order.

        Shapes: `ops` (n, v), `adjacency` (n, v, v), v = d + 2.
        """
        return decision_chain(self._layout, self.vocabulary, X, self.active(X))

    def to_str(self, X: ArrayLike) -> list[str]:
        """The notation of the space; by default `name=option,...` of the decisions that apply."""
        rows = self.canonical_form(self.check(X))
        return self._notation.write(rows, self.active(rows))

    def from_str(self, strings: Sequence[str]) -> Rows:
        """Rows of the given strings; the inverse of `to_str`.

        Raises: SpaceError naming the first string that is not an architecture, and why.
        """
        if isinstance(strings, str):
            strings = [strings]
        rows = np.zeros((len(strings), self.d), dtype=self._dtype)
        for i, text in enumerate(strings):
            rows[i] = self._parse(text)
        valid = self._is_valid(rows)
        if not valid.all():
            rule = f"needs {self.rule}" if self.rule else "no network of this space"
            raise self._bad_string(strings[int(np.argmin(valid))], rule)
        return self.canonical_form(rows)

    def _parse(self, text: object) -> list[int]:
        try:
            row, named = self._notation.read(str(text))
        except NotationError as error:
            raise self._bad_string(text, error.word) from None
        missing = self._notation.missing(named, self.active(np.array([row]))[0])
        if missing is not None:
            raise self._bad_string(text, f"(no {missing!r})")
        return row

    def _bad_string(self, text: object, culprit: object) -> SpaceError:
        short = str(text)
        return SpaceError(
            f"not an architecture of space {self.name!r}, at {str(culprit)[:80]!r}",
            expected=f"a string like {self.to_str(self.sample(1, rng=0))[0]!r}",
            got=repr(short if len(short) <= 120 else short[:117] + "..."),
        )

    # -- networks -----------------------------------------------------------------------------

    def draw(self, x: ArrayLike) -> Computations:
        """The computational graph of one row's network, for this space's input and outputs.

        By default the network is built without memory for its weights, and traced; spaces that
        can draw it without any network override this.
        """
        import torch

        from foretell.graphs.traced import trace

        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            module = self.build(self._row(x)[0], self.input_shape, self.n_outputs)
            return trace(module, torch.zeros((1, *self.input_shape)))

    def computations(self, X: ArrayLike) -> Computations:
        """The computational graphs of rows: what their networks compute, in words of all spaces.

        >>> import foretell as ft
        >>> space = ft.spaces.get("nb201")
        >>> graphs = space.computations(space.sample(3, rng=0))
        >>> graphs.n, bool((graphs.total(graphs.flops) == space.costs(space.sample(3, 0))[1]).all())
        (3, True)
        """
        return joined([self.draw(x) for x in self.check(X)])

    def baseline(self) -> tuple[str, Rows] | None:
        """The network to beat: its name and its row (d,); None where that is not in this space.

        It is `by_hand`, else the middle option of each decision, the earlier of two.

        >>> own = Space.from_choices({"depth": [2, 3, 4], "width": [8, 16]}, build=print)
        >>> name, row = own.baseline()
        >>> name, own.to_str(row[None])
        ('middle option of every decision', ['depth=3,width=8'])
        """
        named = self.by_hand()
        if named is None:
            name, row = "middle option of every decision", (self.n_options - 1) // 2
        else:
            name, row = named[0], np.array(self._parse(named[1]))
        rows = self.canonical_form(row[None].astype(self._dtype))
        return (name, rows[0]) if self.contains(rows)[0] else None

    def by_hand(self) -> tuple[str, str] | None:
        """The name and the string of the network that one would take without any search."""
        return None

    def build(self, x: Any, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """The `nn.Module` of one row, from (batch, *input_shape) to (batch, n_outputs)."""
        if self._build is None:
            raise SpaceError(
                f"space {self.name!r} has no `build`", hint="define build(self, x, ...)"
            )
        return self._build(self.decode(x), input_shape, n_outputs)

    def mixture(self) -> Mixture:
        """What a supernet of this space weighs: by default each decision marked by `mix=True`.

        Other decisions are as in `baseline`, or the middle one of each.

        Raises: SpaceError where nothing is marked.

        >>> op = choice(["conv", "skip"], repeat=2, mix=True)
        >>> own = Space.from_choices({"op": op}, build=print)
        >>> own.mixture().shape
        (2, 2)
        """
        which = [j for j, column in enumerate(self.choices) if column.mix]
        if not which:
            raise SpaceError(
                f"space {self.name!r} has no supernet",
                hint="mark decisions by `ft.choice([...], mix=True)`; see docs/adding_a_space.md",
            )
        base = self.baseline()
        at = (self.n_options - 1) // 2 if base is None else base[1]
        names = [column.name for column in self.choices]
        return columns(names, [column.options for column in self.choices], at.tolist(), which)

    def supernet(self, input_shape: tuple[int, ...], n_outputs: int, *, divisor: int = 1) -> Any:
        """A network that holds all options of `mixture` at once: `nets.supernet.mixed.Supernet`.

        By default that of `build`, where `nets.supernet.mixed.mixed(option, make)` stands for the
        operations of marked decisions.

        Args:
            input_shape: of one example.
            n_outputs: of the network.
            divisor: 1/divisor of the channels goes through the options, the others pass by.
        """
        from foretell.nets.supernet.mixed import Board, Options, Supernet, untracked

        mixture = self.mixture()
        undivided(self.name, divisor)
        if not isinstance(mixture, Columns):
            raise SpaceError(
                f"space {self.name!r} has a mixture of its own", hint="override `supernet` too"
            )
        board = Board([site.options for site in mixture.sites])
        other = copy.copy(self)
        other._mixing = {
            j: Options(board, e, self.choices[j].options) for e, j in enumerate(mixture.columns)
        }
        net = other.build(np.array(mixture.at), input_shape, n_outputs)
        return Supernet(untracked(net), board)

    def costs(self, X: ArrayLike) -> Costs:
        """Parameters and flops of each row for the space's `input_shape` and `n_outputs`.

        By default every distinct row is built without memory for its weights (torch's meta
        device), some milliseconds each; spaces with `closed_form_costs` compute whole arrays.
        """
        from foretell.nets.counts import measure

        rows = self.canonical_form(self.check(X))
        _, first, back = np.unique(self.row_key(rows), return_index=True, return_inverse=True)
        shape, outputs = self.input_shape, self.n_outputs
        counted = [measure(partial(self.build, x, shape, outputs), shape) for x in rows[first]]
        table = np.array(counted, dtype=np.int64).reshape(-1, 2)[back]
        return Costs(table[:, 0], table[:, 1])

    def measure(self, X: ArrayLike, names: Sequence[str]) -> NDArray[np.float64]:
        """Costs of each row by name, smaller is better; "params" and "flops" are those of `costs`.

        What networks have to be built for is counted once, NaN where one cannot be built. A limited
        space (`foretell.spaces.parts.limited`) with a `Latency` knows "latency_ms" as well.

        Shapes: (n, d) to (n, len(names)).

        Raises: SettingError for a cost that this space does not know.
        """
        for name in names:
            if name not in Costs._fields:
                raise no_cost(self.name, name, Costs._fields)
        rows = self.canonical_form(self.check(X))
        table = np.stack(self.costs(rows)) if self.closed_form_costs else self._built(rows)
        columns = [Costs._fields.index(name) for name in names]
        return np.asarray(table[columns].T, dtype=np.float64)

    def closed_form(self, names: Sequence[str]) -> bool:
        """Whether `measure` of these costs needs no network: it is quick on whole arrays then."""
        return self.closed_form_costs

    # -- limits: `foretell.spaces.parts.limited` narrows these --------------------------------

    @property
    def whole(self) -> Space:
        """The space without limits: its `size` and how it was made; itself where there are none."""
        return self

    @property
    def loose(self) -> Space:
        """The space with those limits alone that whole arrays can be checked for quickly."""
        return self

    def within(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Which rows keep all limits of the space, shape (n,); all, where there are none."""
        return np.ones(len(self.check(X)), dtype=bool)

    def with_io(self, input_shape: Sequence[int], n_outputs: int) -> Self:
        """The same space for other data: networks adapt their stem and head."""
        other = copy.copy(self)
        other.input_shape, other.n_outputs = io_of(self.name, input_shape, n_outputs)
        other._built = Built(other)
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # a space does not change, so scikit-learn's clone may share it

    def __repr__(self) -> str:
        count = f"up to {self._grid.size:,}" if self._counted is None else f"{self._counted:,}"
        return f"<space {self.name}: {self.d} decisions, {count} architectures>"
