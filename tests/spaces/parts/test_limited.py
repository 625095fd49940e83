"""Limits before training: rows of a limited space against lists, by hand and by luck."""

from __future__ import annotations

import copy
import pickle

import cloudpickle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import foretell as ft
from foretell.errors import SettingError, SpaceError
from foretell.spaces.parts.built import Built
from foretell.spaces.parts.limited import Limited, parse_limits
from foretell.testing import spaces as promises

# what networks look like does not depend on limits
NETWORKS = (promises.check_networks, promises.check_relabelling, promises.check_costs)
CHECKS = [check for check in promises.CHECKS if check not in NETWORKS]


class Layers(ft.Space):
    """No closed form; what a depth opens may be over the limits by its first options."""

    depth = ft.choice([0, 1, 2])
    op = ft.choice(["linear", "norm"], repeat="depth")
    width = ft.choice([16, 4, 8], repeat="depth", when={"op": ["linear"]})

    def build(self, x, input_shape, n_outputs):
        picked = self.decode(x)
        widths, features, layers = iter(picked["width"]), 6, [nn.Flatten()]
        for op in picked["op"]:
            width = features if op == "norm" else next(widths)
            layers.append(nn.LayerNorm(width) if op == "norm" else nn.Linear(features, width))
            features = width
        return nn.Sequential(*layers, nn.Linear(features, n_outputs))


def layers():
    return Layers(input_shape=(2, 3), n_outputs=4)


class Linear(ft.Space):
    """12 decisions whose parameters add up: the number of rows within a limit is known."""

    closed_form_costs = True
    bit = ft.choice([0, 1], repeat=12)

    def costs(self, X):
        ones = self.check(X).sum(axis=1, dtype=np.int64)
        return ft.spaces.Costs(1 + ones, 10 * (1 + ones))


SPACES = {
    "mobile": lambda: ft.spaces.get("mobile", preset="tiny", input_shape=(1, 12, 9)),
    "nb101": lambda: ft.spaces.get("nb101", input_shape=(1, 16, 16)),
    "nb201": lambda: ft.spaces.get("nb201", channels=4, n_cells=1, input_shape=(3, 8, 8)),
    "tabular": lambda: ft.spaces.get("tabular", input_shape=(7,), n_outputs=2),
    "own": layers,
}


def through(sent):
    return pickle.loads(sent)  # our own bytes


def at_share(space, share):
    """Limits that this share of the whole space keeps, at the least."""
    X = np.concatenate(list(space.enumerate()))
    costs = np.sort(space.measure(X, ("params", "flops")), axis=0)
    params, flops = costs[int(share * (len(X) - 1))]
    return Limited.of(space, {"params": float(params), "flops": float(2 * flops)})


@pytest.fixture(scope="module", params=[0.5, 0.001])
def share(request):
    return request.param


@pytest.fixture(scope="module", params=SPACES)
def limited(request, share):
    return at_share(SPACES[request.param](), share)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_promises_of_a_space(check, limited, share):
    if check is promises.check_other_process and (share == 0.5 or "nb" in limited.name):
        return  # nothing more than with the others
    check(limited)


def test_enumerates_and_counts_exactly_the_rows_within(limited):
    whole = np.concatenate(list(limited.whole.enumerate()))
    costs = limited.whole.measure(whole, ("params", "flops"))
    kept = (costs <= [*limited._within.values.values()]).all(axis=1)
    assert 0 < kept.sum() < len(whole)
    assert limited.size == kept.sum()
    assert (np.concatenate(list(limited.enumerate(100))) == whole[kept]).all()
    assert (limited.contains(whole) == kept).all()
    assert (limited.within(whole) == kept).all()


def test_other_data_has_other_costs():
    for name in ("mobile", "nb201", "tabular"):
        limited = at_share(SPACES[name](), 0.5)
        promises.check_costs(limited)
        (channels, *size) = limited.input_shape
        more = limited.with_io((channels + 3, *size), limited.n_outputs + 5)
        assert more.n_outputs == limited.n_outputs + 5
        assert more.size < limited.size
        assert limited.with_io(limited.input_shape, limited.n_outputs).size == limited.size


# -- drawing -----------------------------------------------------------------------------------


def test_common_rows_are_drawn_as_the_whole_space_draws_them():
    limited = Limited.of(Linear(), {"params": 7})  # at most 6 of 12 bits
    ones = limited.sample(4000, rng=0).sum(axis=1)
    # binomial(12, 1/2) given at most 6: P(6) = 924 / 2510, mean 5.1944 - by the sum over k
    assert abs((ones == 6).mean() - 924 / 2510) < 5 * np.sqrt(0.368 * 0.632 / 4000)


@pytest.mark.parametrize("size", [2, 14])
def test_rows_too_rare_for_luck_are_found_going_downhill(size):
    """Among 2^40 rows 1 or 41 are within the limit; as good as never drawn."""

    class Wide(Linear):
        bit = ft.choice([0, 1], repeat=40)

    limited = Limited.of(Wide(), {"params": 1 if size == 2 else 2})
    X = limited.sample(300, rng=0)
    assert limited.within(X).all()
    found = len(np.unique(limited.row_key(X)))
    assert found == 1 if size == 2 else found > 30
    assert (limited.sample(300, rng=0) == X).all()


def test_rare_rows_without_closed_form_are_built():
    space = layers()
    cheapest = min(space.measure(np.concatenate(list(space.enumerate())), ("params",)))[0]
    limited = Limited.of(space, {"params": float(cheapest)})
    assert limited.size == 1
    assert limited.within(limited.sample(5, rng=0)).all()


def test_a_row_over_the_limits_has_mutants_within_them():
    limited = at_share(SPACES["nb201"](), 0.01)
    over = limited.whole.sample(50, rng=0)
    assert not limited.within(over).all()
    assert limited.within(limited.mutate(over, rng=1)).all()


def test_mutants_leave_where_a_neighbour_is_within():
    limited = Limited.of(Linear(), {"params": 1.5})  # all bits 0 and nothing else
    alone = np.zeros((1, 12), dtype=np.int8)
    assert (limited.mutate(alone, rng=0) == alone).all()
    assert limited.neighbors(alone[0]).shape == (0, 12)
    limited = Limited.of(Linear(), {"params": 2.5})  # and each with a single 1
    assert len(limited.neighbors(alone[0])) == 12
    child = limited.mutate(alone, rng=0)
    assert child.sum() == 1
    assert (limited.mutate(child, rng=0).sum(axis=1) <= 1).all()


def test_what_a_change_opens_may_take_other_options():
    space = layers()
    start = space.from_str(["depth=0"])[0]
    deeper = space.from_str(["depth=1,op_0=norm"])
    limit = space.measure(deeper, ("params",))[0, 0]
    # the first options, a layer of 16, are over it
    assert (space.measure(space.neighbors(start), ("params",)) > limit).any()
    limited = Limited.of(space, {"params": float(limit)})
    found = limited.neighbors(start)
    assert limited.row_key(deeper)[0] in limited.row_key(found)


# -- reading -----------------------------------------------------------------------------------


def test_rows_over_the_limits_can_still_be_read_told_and_built():
    space = SPACES["tabular"]()
    limited = Limited.of(space, {"params": 500})
    X = space.sample(50, rng=0)
    assert not limited.within(X).all()
    assert (limited.check(X) == X).all()
    assert (limited.from_str(space.to_str(X)) == X).all()
    assert (limited.row_key(X) == space.row_key(X)).all()
    assert (limited.graphs(X).ops == space.graphs(X).ops).all()
    assert (limited.measure(X, ("flops",)) == space.measure(X, ("flops",))).all()
    search = ft.Search(limited, seed=0)
    search.tell(X, np.arange(50.0))
    search.replay(X[:1])
    assert limited.within(search.ask(20)).all()
    model = ft.predictors.get("rf", space=limited, random_state=0).fit(X, np.arange(50.0))
    assert model.predict(X).shape == (50,)


def test_sizes_of_rows_over_limits_that_need_networks():
    space = layers()
    limited = Limited.of(space, {"params": 60})
    X = np.concatenate(list(space.enumerate()))
    assert not limited.within(X).all()
    sizes = ft.encodings.get("size", limited).transform(X)
    assert np.allclose(np.expm1(sizes), space.measure(X, ("params", "flops")), rtol=1e-4)


def test_strategies_and_ranking_stay_within_the_limits():
    limited = at_share(SPACES["nb201"](), 0.05)
    for name in ("random", "regularized-evolution"):
        search = ft.Search(limited, name, seed=0)
        for _ in range(6):
            X = search.ask(10)
            assert limited.within(X).all()
            search.tell(X, limited.measure(X, ("params",))[:, 0])
    settings = {"n_train": 20, "predictor": "rf"}
    search = ft.Search(limited, ft.strategies.get("neural-predictor", **settings), seed=0)
    for _ in range(2):
        X = search.ask(20)
        assert limited.within(X).all()
        search.tell(X, (X == 3).sum(axis=1))


def test_copies_and_other_processes():
    limited = at_share(SPACES["nb201"](), 0.01)
    X = limited.sample(5, rng=0)
    assert copy.deepcopy(limited) is limited
    for other in (copy.copy(limited), through(pickle.dumps(limited))):
        assert repr(other) == repr(limited)
        assert (other.sample(5, rng=0) == X).all()
    own = at_share(layers(), 0.5)
    back = through(cloudpickle.dumps(own))
    assert (back.sample(5, rng=0) == own.sample(5, rng=0)).all()
    assert isinstance(own, Layers)


def test_limits_on_limits():
    space = Linear()
    once = Limited.of(space, {"params": 9, "flops": 60})
    twice = Limited.of(once, {"params": 5, "flops": 80})
    assert repr(twice) == "<space Linear with params <= 5 and flops <= 60>"
    assert twice.whole is space
    assert Limited.of(space, {}) is space
    assert space.whole is space.loose is space


def test_names_of_the_class_are_its_own():
    class Named(Linear):
        def __init__(self):
            self._words = self.limits = self._quick = self.inside = "mine"
            super().__init__()

        def size_in_words(self):
            return self._words + self.limits + self._quick + self.inside

    assert Limited.of(Named(), {"params": 5}).size_in_words() == "mine" * 4


def test_costly_limits_are_left_to_within():
    limited = Limited.of(layers(), {"params": 60})
    assert limited.loose is not limited
    assert limited.loose.size == limited.whole.size
    closed = Limited.of(Linear(), {"params": 6})
    assert closed.loose is closed


def test_networks_are_built_once_and_some_are_forgotten(monkeypatch):
    built = []

    class Counting(Layers):
        def build(self, x, input_shape, n_outputs):
            built.append(1)
            return super().build(x, input_shape, n_outputs)

    limited = Limited.of(Counting(input_shape=(2, 3), n_outputs=4), {"params": 100})
    X = np.concatenate([limited.whole.sample(30, rng=0)] * 2)
    limited.within(X)
    first = len(built)
    assert first == len(np.unique(limited.row_key(X)))
    limited.within(X)
    assert len(built) == first
    monkeypatch.setattr("foretell.spaces.parts.built.KEPT", 3)
    counter = Built(limited.whole)
    expected = limited.whole.measure(X, ("params", "flops")).T
    assert (counter(X) == expected).all()
    assert len(counter._known) == 3


def test_what_cannot_be_built_is_over_the_limits():
    class Broken(Layers):
        def build(self, x, input_shape, n_outputs):
            if self.decode(x)["depth"] == 2:
                raise ZeroDivisionError("two layers")
            return super().build(x, input_shape, n_outputs)

    limited = Limited.of(Broken(input_shape=(2, 3), n_outputs=4), {"params": 1e6})
    assert (limited.sample(60, rng=0)[:, 0] < 2).all()
    assert np.isnan(limited.measure(limited.from_str(["depth=2,op_0=norm,op_1=norm"]), ("params",)))

    class AllBroken(Layers):
        def build(self, x, input_shape, n_outputs):
            raise ZeroDivisionError("nothing works")

    with pytest.raises(SettingError, match="nothing works"):
        Limited.of(AllBroken(input_shape=(2, 3)), {"params": 1e6}).sample(1, rng=0)


# -- errors ------------------------------------------------------------------------------------


def test_limits_below_the_smallest_network_are_told_at_once():
    space = ft.spaces.get("nb201", channels=4, n_cells=1)
    smallest = min(space.measure(np.concatenate(list(space.enumerate())), ("params",)))[0]
    with pytest.raises(SettingError) as caught:
        Limited.of(space, {"params": 1000})
    text = str(caught.value)
    assert "params <= 1k" in text
    assert f"params {smallest / 1000:.4g}k at the least" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"parms": 5}, "did you mean 'params'"),
        ({"params": -1}, "limit of params: expected a positive number, got -1"),
        ({"params": float("nan")}, "positive number, got nan"),
        ({"params": float("inf")}, "positive number, got inf"),
        ({"flops": True}, "got True"),
        ({"flops": "1M"}, "got '1M'"),
        ({"latency_ms": 5}, "say how latency is measured"),
    ],
)
def test_wrong_limits(limits, says):
    with pytest.raises(SettingError, match=says):
        Limited.of(Linear(), limits)


def test_unknown_costs_and_sizes():
    limited = Limited.of(Linear(), {"params": 5})
    for space in (limited, limited.whole):
        with pytest.raises(SettingError, match="unknown cost 'param'"):
            space.measure(space.sample(1, rng=0), ("param",))
        with pytest.raises(SettingError, match="latency"):
            space.measure(space.sample(1, rng=0), ("latency_ms",))
        assert space.measure(space.sample(3, rng=0), ()).shape == (3, 0)
    with pytest.raises(SettingError, match="batch"):
        next(limited.enumerate(0))

    class Large(Linear):
        bit = ft.choice([0, 1], repeat=30)

    large = Limited.of(Large(), {"params": 5})
    with pytest.raises(SpaceError, match="too large to count"):
        _ = large.size
    assert repr(large) == "<space Large with params <= 5>"


# -- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("params=1M,flops=50M,latency_ms=5", {"params": 1e6, "flops": 5e7, "latency_ms": 5.0}),
        (" flops = 2.5 k , params=3e6 ", {"params": 3e6, "flops": 2500.0}),
        ("params=1g", {"params": 1e9}),
        ("params=.5T", {"params": 5e11}),
    ],
)
def test_words(text, limits):
    assert parse_limits(text) == limits
    assert list(parse_limits(text)) == list(limits)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected name=number"),
        ("params", "expected name=number"),
        ("params=", "at 'params='"),
        ("params=-1", "at 'params=-1'"),
        ("params=nan", "at 'params=nan'"),
        ("params=0", "positive"),
        ("params=1e999", "positive"),
        ("latency_ms=5ms", "at 'latency_ms=5ms'"),
        ("latency=5", "did you mean 'latency_ms'"),
        ("params=1,params=2", "params once"),
        ("params=1,,flops=2", "at ''"),
    ],
)
def test_wrong_words(text, says):
    with pytest.raises(SettingError, match=says) as caught:
        parse_limits(text)
    assert "\n" not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(
    st.text()
    | st.lists(
        st.tuples(
            st.sampled_from(["params", "flops", "latency_ms", "", "x"]),
            st.sampled_from(["=", "==", " = ", ""]),
            st.floats().map(str) | st.sampled_from(["1M", "5", ".", "1.k", "\u0663", "1_0"]),
        ).map("".join)
    ).map(",".join)
)
def test_any_text_is_limits_or_one_error(text):
    try:
        limits = parse_limits(text)
    except SettingError:
        return
    assert limits
    assert set(limits) <= {"params", "flops", "latency_ms"}
    assert all(0 < value < np.inf for value in limits.values())
