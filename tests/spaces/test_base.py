"""Space: everything that follows from choices, against brute force."""

from __future__ import annotations

import contextlib
import copy
import inspect
import itertools
import pickle
import tracemalloc

import cloudpickle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foretell as ft
from foretell import _catalog
from foretell.errors import ForetellError, SettingError, SpaceError
from foretell.spaces.parts.grid import Grid


class Conditional(ft.Space):
    depth = ft.choice([0, 1, 3])
    op = ft.choice(["conv", "pool", "skip"], repeat="depth")
    kernel = ft.choice([3, 5], repeat="depth", when={"op": ["conv", "pool"]})
    se = ft.choice([False, True])
    ratio = ft.choice([2, 4, 8], when={"se": [True]})


class Distinct(ft.Space):
    a = ft.choice(range(6))
    b = ft.choice(range(6))

    def valid(self, X):
        return X[:, 0] != X[:, 1]


def brute_force(space):
    """Canonical valid rows of the whole grid, by definition."""
    grid = np.array(list(itertools.product(*(range(k) for k in space.n_options))), dtype=np.int8)
    rows = np.unique(space.canonical_form(grid), axis=0)
    return rows[space.contains(rows)]


def listed(space, batch=7):
    return np.concatenate(list(space.enumerate(batch)))


@pytest.mark.parametrize("space", [Conditional(), Distinct()], ids=lambda s: s.name)
def test_enumerate_and_size_agree_with_brute_force(space):
    rows = listed(space)
    assert space.size == len(rows) == len(np.unique(space.row_key(rows)))
    assert (np.unique(rows, axis=0) == brute_force(space)).all()


def test_size_of_conditionals_by_hand():
    # depth 0: 1; 1: 2 * 2 + 1 = 5; 3: 5^3; and se: 1 + 3
    assert Conditional().size == (1 + 5 + 5**3) * 4
    assert Distinct().size == 30


def test_inactive_decisions_are_zero_and_do_not_matter():
    space = Conditional()
    a = np.array([[1, 2, 0, 0, 0, 0, 0, 0, 0]])
    b = np.array([[1, 2, 2, 1, 1, 1, 1, 0, 2]])
    assert (space.canonical_form(b) == a).all()
    assert (space.row_key(a) == space.row_key(b)).all()
    assert space.to_str(a) == space.to_str(b) == ["depth=1,op_0=skip,se=False"]
    assert space.decode(b[0]) == {
        "depth": 1, "op": ("skip",), "kernel": (), "se": False, "ratio": None,
    }  # fmt: skip


@st.composite
def layouts(draw):
    """Random spaces with every kind of condition."""
    options = st.integers(1, 3).map(range)
    named = {}
    for i in range(draw(st.integers(1, 4))):
        repeat, when, kind = 1, None, draw(st.sampled_from(["plain", "count", "repeat", "when"]))
        singles = [n for n, c in named.items() if c.repeat == 1]
        chosen = draw(options)
        if kind == "repeat" and singles:
            repeat = draw(st.sampled_from(singles))
        elif kind == "count":
            repeat = draw(st.integers(1, 2))
        elif kind == "when" and singles:
            other = draw(st.sampled_from(singles))
            when = {other: draw(st.lists(st.sampled_from(named[other].options), min_size=1))}
        named[f"c{i}"] = ft.choice(chosen, repeat=repeat, when=when)
    return named


@given(named=layouts(), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_any_conditions_against_brute_force(named, seed):
    space = ft.Space.from_choices(named, build=print)
    rows = listed(space)
    assert (np.unique(rows, axis=0) == brute_force(space)).all()
    assert space.size == len(rows)
    X = space.sample(5, rng=seed)
    assert (space.from_str(space.to_str(X)) == X).all()
    children = space.mutate(X, rng=seed)
    assert space.contains(children).all()
    for x, child in zip(X, children, strict=True):
        around = space.neighbors(x)
        assert (child != x).any() == bool(len(around))


def test_streaming_needs_constant_memory():
    space = ft.Space.from_choices({"depth": [4, 6], "op": ft.choice(range(20), "depth")}, print)
    assert space.size == 20**4 + 20**6
    blocks = space.enumerate()
    tracemalloc.start()
    n = sum(len(next(blocks)) for _ in range(8))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 8 * 65_536
    assert peak < 16e6


def test_huge_spaces_are_counted_and_streamed_exactly():
    space = ft.Space.from_choices(
        {"depth": [1, 60], "op": ft.choice(range(9), "depth"), "w": ft.choice(range(3), 30)}, print
    )
    assert space.size == (9 + 9**60) * 3**30 > 2**64
    first = next(space.enumerate(10))
    assert (first[:, -1] == np.arange(10) % 3).all()
    assert not first[:, :-3].any()
    last = space._grid.rows(space.size - 2, 2)
    assert (last[-1] == space.n_options - 1).all()
    X = space.sample(1000, rng=0)
    assert len(np.unique(space.row_key(X))) == len(np.unique(X, axis=0)) > 400
    assert (space.row_key(X) == space.row_key(X[::-1])[::-1]).all()


def test_row_key_is_injective_at_the_edge_of_64_bits():
    space = ft.Space.from_choices({"bit": ft.choice([0, 1], 64)}, print)
    ends = np.array([[0] * 64, [1] * 64])
    assert space.row_key(ends).tolist() == [0, 2**64 - 1]


def test_grid_numbers_rows_in_any_window():
    grid = Conditional()._grid
    whole = grid.rows(0, grid.size)
    assert (grid.rows(17, 30) == whole[17:47]).all()
    assert isinstance(grid, Grid)


def test_sample_is_uniform_over_options():
    from scipy.stats import chisquare

    X = Conditional().sample(6000, rng=1)
    for j, driver in [(0, None), (1, X[:, 0] > 0), (7, None), (8, X[:, 7] == 1)]:
        values = X[:, j] if driver is None else X[driver, j]
        assert chisquare(np.bincount(values)).pvalue > 1e-3


def test_sample_repeats_by_seed_and_draws_only_valid_rows():
    space = Distinct()
    assert (space.sample(50, rng=3) == space.sample(50, rng=3)).all()
    assert space.contains(space.sample(500, rng=4)).all()
    assert space.sample(0).shape == (0, 2)
    for n in (-1, 2.5, "3"):
        with pytest.raises(SettingError, match="number of samples"):
            space.sample(n)


def test_sample_finds_rare_rows_and_gives_up_on_none():
    class Rare(Distinct):
        def valid(self, X):
            return (X == [5, 4]).all(axis=1)

    class Empty(Distinct):
        def valid(self, X):
            return np.zeros(len(X), dtype=bool)

    assert (Rare().sample(3, rng=0) == [5, 4]).all()
    assert Empty().size == 0
    assert list(Empty().enumerate()) == []
    with pytest.raises(SpaceError, match="no valid row"):
        Empty().sample(1)


def test_mutate_changes_one_decision_that_applies():
    space = Conditional()
    X = space.sample(400, rng=0)
    children = space.mutate(X, rng=1)
    assert (children != X).any(axis=1).all()
    both = space.active(X) & space.active(children)
    assert (((children != X) & both).sum(axis=1) == 1).all()
    assert len(np.unique(children[X[:, 0] == 0], axis=0)) > 10  # new layers are drawn at random


def test_mutate_where_little_or_nothing_can_move():
    one = ft.Space.from_choices({"a": ["x"], "b": ["y"]}, print)
    X = one.sample(3, rng=0)
    assert (one.mutate(X, rng=0) == X).all()
    assert one.neighbors(X[0]).shape == (0, 2)

    class Pairs(ft.Space):
        """Two islands of one row each, and two rows that are neighbours."""

        a = ft.choice(range(100))
        b = ft.choice(range(100))

        def valid(self, X):
            island = (X[:, 0] == X[:, 1]) & np.isin(X[:, 0], [1, 2])
            return island | ((X[:, 0] == 50) & (X[:, 1] > 97))

    pairs = Pairs()
    X = np.array([[1, 1], [2, 2], [50, 98], [50, 99]])
    assert pairs.mutate(X, rng=0).tolist() == [[1, 1], [2, 2], [50, 99], [50, 98]]


def test_mutate_and_neighbors_by_hand():
    space = Distinct()
    around = space.neighbors([0, 1])
    assert len(around) == 5 - 1 + 5 - 1
    assert space.contains(around).all()
    tree = Conditional()
    x = tree.from_str("depth=1,op_0=skip,se=False")[0]
    assert sorted(tree.to_str(tree.neighbors(x))) == [
        "depth=0,se=False",
        "depth=1,op_0=conv,kernel_0=3,se=False",
        "depth=1,op_0=pool,kernel_0=3,se=False",
        "depth=1,op_0=skip,se=True,ratio=2",
        "depth=3,op_0=skip,op_1=conv,op_2=conv,kernel_1=3,kernel_2=3,se=False",
    ]


def test_many_options_do_not_overflow():
    space = ft.Space.from_choices({"a": range(127), "b": range(2)}, print)
    assert space.sample(1, rng=0).dtype == np.int8
    wide = ft.Space.from_choices({"a": range(300), "b": range(2)}, print)
    X = np.array([[299, 1]])
    assert wide.to_str(X) == ["a=299,b=1"]
    assert (wide.from_str(wide.to_str(X)) == X).all()
    assert wide.graphs(wide.check(X)).ops.tolist() == [[0, 301, 303, 1]]
    for one in (space, wide):
        X = one.sample(500, rng=0)
        children = one.mutate(X, rng=0)
        assert one.contains(children).all()
        assert ((children != X).sum(axis=1) == 1).all()
        assert one.size == len(listed(one, 1000))


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ([0, 1], "X\\[None, :\\]"),
        ([], "shape \\(0,\\)"),
        ([[0, 1, 2]], "shape \\(1, 3\\)"),
        ([[0], [0, 1]], "different lengths"),
        ([["0", "1"]], "from_str"),
        ("a=0,b=1", "from_str"),
        ([[0, None]], "dtype object"),
        ([[0.5, 1.0]], "expected integers"),
        ([[np.nan, 1.0]], "expected integers"),
        ([[1e300, 1.0]], "expected integers"),
        ([[1j, 1.0]], "expected integers"),
        ([[0, 6]], "decision 'b'.*expected 0 to 5, got 6"),
        ([[-1, 0]], "decision 'a'.*got -1"),
        (np.array([[2**63, 0]], dtype=np.uint64), "decision 'a'"),
        ([[1, 2], [3, 3]], "row 1 is no network"),
        (np.zeros((1, 1, 2), dtype=int), "shape \\(1, 1, 2\\)"),
        (None, "dtype object"),
        (3, "shape \\(\\)"),
    ],
)
def test_check_names_the_culprit(X, words):
    space = Distinct()
    with pytest.raises(SpaceError, match=words):
        space.check(X)
    inside = space.contains(X)
    assert not (len(inside) and inside.all())


@pytest.mark.parametrize("X", [[[0, 1]], [[0.0, 1.0]], [[False, True]], np.zeros((0, 2))])
def test_check_takes_whole_numbers_of_any_type(X):
    space = Distinct()
    assert space.check(X).dtype == np.int8
    assert space.contains(X).all()


def test_one_architecture_is_a_row():
    for call in (Distinct().decode, Distinct().neighbors):
        with pytest.raises(SpaceError, match="take a row"):
            call([[0, 1]])


def test_valid_must_answer_for_each_row():
    class Wrong(Distinct):
        def valid(self, X):
            return True

    with pytest.raises(SpaceError, match="a bool for each row"):
        Wrong().sample(2)


def test_size_with_own_conditions_counts_or_says_what_to_do():
    class Big(ft.Space):
        a = ft.choice(range(100), repeat=5)

        def valid(self, X):
            return X[:, 0] > X[:, 1]

    with pytest.raises(SpaceError, match="override the property `size`"):
        _ = Big().size
    assert "up to 10,000,000,000" in repr(Big())


def test_own_canonical_form_is_respected():
    class Unordered(ft.Space):
        """a and b may be swapped."""

        a = ft.choice(range(5))
        b = ft.choice(range(5))

        def canonical_form(self, X):
            return np.sort(X, axis=1)

    space = Unordered()
    assert space.size == 15 == len(np.unique(listed(space), axis=0))
    X = space.sample(200, rng=0)
    assert (space.mutate(X, rng=0) != X).any(axis=1).all()


def test_own_active_is_respected():
    class Skip(ft.Space):
        op = ft.choice(["skip", "conv"])
        kernel = ft.choice([3, 5, 7])

        def active(self, X):
            return np.stack([np.ones(len(X), dtype=bool), X[:, 0] == 1], axis=1)

    space = Skip()
    assert space.size == 4
    assert space.to_str(listed(space)) == [
        "op=skip",
        "op=conv,kernel=3",
        "op=conv,kernel=5",
        "op=conv,kernel=7",
    ]
    assert space.decode([0, 0]) == {"op": "skip", "kernel": None}


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({}, "no choices"),
        ({"a": []}, "choice 'a'.*one or more"),
        ({"a": [1, 1]}, "different options"),
        ({"a": [1, "1"]}, "different options"),
        ({"a": "conv"}, "a list of options"),
        ({"a": 3}, "a list of options"),
        ({"a": [(3, 3)]}, "short names"),
        ({"a": [object()]}, "short names"),
        ({"a": [print, len]}, None),
        ({"a,b": [1]}, "a name without"),
        ({"a": [1], "w": ft.choice([1], repeat="b")}, "'w' repeats 'b'"),
        ({"a": ["x"], "w": ft.choice([1], repeat="a")}, "'w' repeats 'a'"),
        ({"a": [True], "w": ft.choice([1], repeat="a")}, "'w' repeats 'a'"),
        ({"w": ft.choice([1, 2], repeat="w")}, None),
        ({"a": [1], "w": ft.choice([1], when={"b": [1]})}, "another choice"),
        ({"a": [1], "w": ft.choice([1], when={"a": [2]})}, "expected some of"),
        ({"a": [1], "w": ft.choice([1], when={"a": []})}, "expected some of"),
        (
            {"a": ft.choice([1], when={"b": [1]}), "b": ft.choice([1], when={"a": [1]})},
            "wait for each other",
        ),
        (
            {"n": [1, 2], "a": [1], "w": ft.choice([1], repeat="n", when={"a": [1]})},
            "override `active`",
        ),
        ({"w": ft.choice([1, 2], repeat=2), "w_0": [1]}, "two decisions are called 'w_0'"),
        ([("a", [1])], "choices as a dict"),
    ],
)
def test_definitions_that_cannot_work(named, words):
    if words is None:
        words = "."
        if named == {"a": [print, len]}:
            assert ft.Space.from_choices(named, print).size == 2
            return
    with pytest.raises(SpaceError, match=words):
        ft.Space.from_choices(named, build=print)


def test_choice_settings():
    for bad in (0, -1, 1.5, True, None):
        with pytest.raises(SpaceError, match="repeat"):
            ft.choice([1], repeat=bad)
    with pytest.raises(SpaceError, match="when"):
        ft.choice([1], when={"a": [1], "b": [1]})
    with pytest.raises(SpaceError, match="function `build`"):
        ft.Space.from_choices({"a": [1]}, build=None)


def test_a_choice_may_not_hide_what_space_does():
    with pytest.raises(SpaceError, match="a choice called 'size'"):
        type("Bad", (ft.Space,), {"size": ft.choice([1, 2])})


def test_a_subclass_may_replace_and_add_choices():
    class Wider(Distinct):
        b = ft.choice(range(3))
        c = ft.choice(["xy", "z"])

    assert [(c.name, len(c.options)) for c in Wider().choices] == [("a", 6), ("b", 3), ("c", 2)]


@pytest.mark.parametrize("shape", [(), (0, 3), (3, -1, 2), "ab", None, 5])
def test_io_must_be_positive_integers(shape):
    with pytest.raises(SettingError, match="input_shape"):
        Distinct(input_shape=shape)
    with pytest.raises(SettingError, match="input_shape"):
        Distinct().with_io(shape, 2)
    with pytest.raises(SettingError, match="n_outputs"):
        Distinct().with_io((3,), 0)


def test_with_io_leaves_the_original():
    space = Distinct()
    other = space.with_io([1, 8, 8], 3)
    assert (other.input_shape, other.n_outputs) == ((1, 8, 8), 3)
    assert (space.input_shape, space.n_outputs) == ((3, 32, 32), 10)


def test_copies_and_pickles():
    space = Conditional()
    assert copy.deepcopy(space) is space
    back = cloudpickle.loads(cloudpickle.dumps(space))
    X = space.sample(5, rng=0)
    assert (back.row_key(X) == space.row_key(X)).all()
    factor = 3
    own = ft.Space.from_choices(
        {"a": [1, 2]}, build=lambda decisions, i, o: decisions["a"] * factor
    )
    back = cloudpickle.loads(cloudpickle.dumps(own))
    assert back.build([1], (1,), 1) == 6
    back = pickle.loads(pickle.dumps(ft.spaces.get("nb201")))
    assert back.size == 15625


def test_errors_of_a_build_function_are_the_users_own():
    def build(decisions, input_shape, n_outputs):
        raise ZeroDivisionError("mine")

    own = ft.Space.from_choices({"a": [1, 2]}, build=build)
    with pytest.raises(ZeroDivisionError, match="mine"):
        own.build(own.sample(1, rng=0)[0], (3,), 1)
    with pytest.raises(SpaceError, match="no `build`"):
        Distinct().build([0, 1], (3,), 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a=0", "no 'b'"),
        ("a=0,b=9", "b=9"),
        ("a=0,b=1,c=2", "c=2"),
        ("a=0,b=1,a=1", "a=1"),
        ("", "''"),
        ("a=2,b=2", "no network"),
        (None, "None"),
        (7, "7"),
    ],
)
def test_from_str_names_the_culprit(text, words):
    with pytest.raises(SpaceError, match=words):
        Distinct().from_str(["a=0,b=1", text])


def test_from_str_is_lenient_with_blanks_and_order():
    assert Distinct().from_str([" b=1 , a = 0"]).tolist() == [[0, 1]]
    assert Distinct().from_str("a=1,b=0").tolist() == [[1, 0]]


@given(text=st.text() | st.from_regex("[ab,=0-9]*", fullmatch=True))
@settings(max_examples=200, deadline=None)
def test_from_str_of_anything(text):
    space = Distinct()
    try:
        rows = space.from_str([text])
    except SpaceError as error:
        assert "not an architecture of space 'Distinct', at " in str(error)  # noqa: PT017  # or none
        return
    assert space.contains(rows).all()


def test_default_graph_is_a_chain_of_what_applies():
    space = Conditional()
    X = space.from_str(["depth=1,op_0=conv,kernel_0=5,se=False", "depth=0,se=True,ratio=8"])
    ops, adjacency = space.graphs(X)
    words = [[space.vocabulary[o] for o in row if o >= 0] for row in ops]
    assert words[0] == ["input", "depth=1", "op=conv", "kernel=5", "se=False", "output"]
    assert words[1] == ["input", "depth=0", "se=True", "ratio=8", "output"]
    assert adjacency[0].sum() == 5
    assert adjacency[1].sum() == 4


def test_default_costs_count_each_distinct_row_once():
    from torch import nn

    calls = []

    def build(decisions, input_shape, n_outputs):
        calls.append(decisions)
        return nn.Linear(input_shape[0], n_outputs, bias=decisions["bias"])

    own = ft.Space.from_choices({"bias": [False, True]}, build=build, input_shape=(5,), n_outputs=2)
    costs = own.costs([[1], [0], [1], [1]])
    assert costs.params.tolist() == [12, 10, 12, 12]
    assert costs.flops.tolist() == [20] * 4
    assert len(calls) == 2


def test_every_error_is_foretells():
    assert issubclass(SpaceError, ForetellError)


def test_settings_given_by_name_make_the_same_space_again():
    space = ft.spaces.get("mobile", preset="base", n_stages=3, input_shape=(1, 8, 8))
    assert space.settings == {"preset": "base", "n_stages": 3}
    for same in (
        ft.spaces.get("mobile", **space.settings),
        space.with_io((3, 16, 16), 2),
        copy.copy(space),
        cloudpickle.loads(cloudpickle.dumps(space)),  # our own bytes
    ):
        assert same.choices == space.choices
        assert same.settings == space.settings


@pytest.mark.parametrize("name", _catalog.names("space"))
def test_no_number_of_a_damaged_file_makes_a_space_without_end(name):
    """Each setting that is a number, ten million: a space, or one line, in next to no time."""
    made = _catalog.row("space", name).load()
    for key, one in inspect.signature(made).parameters.items():
        if type(one.default) is int or key == "n_stages":
            with contextlib.suppress(SpaceError, SettingError):
                assert ft.spaces.get(name, **{key: 10**7}).d < 1_000
