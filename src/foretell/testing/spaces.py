"""What every search space promises, as checks that anyone can run on an own one.

>>> import foretell as ft
>>> for check in CHECKS[:4]:
...     check(ft.spaces.get("nb201"))
"""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from foretell._rng import stream
from foretell.errors import SpaceError
from foretell.graphs import hashing
from foretell.spaces.base import Graphs, Rows, Space
from foretell.testing._globals import global_states

LISTED = 50_000  # larger spaces are enumerated only for their first blocks
N = 200  # rows in a check


def check_space(space: Space) -> None:
    """Run all checks of this module; AssertionError says which promise is broken."""
    for check in CHECKS:
        check(space)


def check_enumeration(space: Space) -> None:
    """`enumerate` yields each architecture once, in canonical form, `size` of them."""
    blocks = []
    for rows in space.enumerate(997):
        assert 0 < len(rows) <= 997, f"a block of {len(rows)} rows where 997 were asked for"
        assert bool(space.contains(rows).all()), "an enumerated row is not of the space"
        assert np.array_equal(space.canonical_form(rows), rows), "a row is not in canonical form"
        blocks.append(rows)
        if sum(map(len, blocks)) > LISTED:
            break
    X = np.concatenate(blocks)
    assert len(np.unique(space.row_key(X))) == len(X), "an architecture was enumerated twice"
    assert isinstance(space.size, int), f"size is {type(space.size).__name__}, not an integer"
    if space.size <= LISTED:
        assert len(X) == space.size, f"size is {space.size}, enumerate yields {len(X)}"
        sampled = space.row_key(space.sample(N, rng=1))
        assert bool(np.isin(sampled, space.row_key(X)).all()), "a sampled row is not enumerated"


def check_sampling(space: Space) -> None:
    """`sample` repeats by its seed, and gives rows of the space in canonical form."""
    X = space.sample(N, rng=0)
    assert X.shape == (N, space.d), f"asked for {N} rows, got shape {X.shape}"
    assert bool(space.contains(X).all()), "a sampled row is not of the space"
    assert np.array_equal(space.canonical_form(X), X), "a sampled row is not in canonical form"
    assert np.array_equal(space.check(X), X), "`check` changes the rows"
    assert np.array_equal(X, space.sample(N, rng=0)), "equal seeds gave different rows"
    assert np.array_equal(X, space.sample(N, np.random.default_rng(np.random.SeedSequence([0]))))
    assert space.sample(0, rng=0).shape == (0, space.d), "no rows were asked for"
    if space.size > 1:
        assert not np.array_equal(X, space.sample(N, rng=1)), "other seeds gave the same rows"


def check_moves(space: Space) -> None:
    """`mutate` and `neighbors` give other rows of the space, and leave their input as it was."""
    X = space.sample(N, rng=2)
    given = X.copy()
    given.flags.writeable = False
    children = space.mutate(given, rng=3)
    assert children.shape == X.shape, f"`mutate` turned shape {X.shape} into {children.shape}"
    assert bool(space.contains(children).all()), "`mutate` left the space"
    assert np.array_equal(space.canonical_form(children), children), "a child is not canonical"
    assert np.array_equal(children, space.mutate(X, rng=3)), "equal seeds, other children"
    assert space.mutate(X[:0], rng=0).shape == (0, space.d), "no parents, but children"
    for x, child in zip(X[:20], children[:20], strict=True):
        around = space.neighbors(x)
        assert bool(space.contains(around).all()), "a neighbour is not of the space"
        keys = space.row_key(around)
        assert len(np.unique(keys)) == len(around), "a neighbour is there twice"
        assert not np.isin(space.row_key(x[None]), keys).any(), "a row neighbours itself"
        moved = bool((child != x).any())
        assert moved == bool(len(around)), "`mutate` and `neighbors` disagree whether a row moves"


def check_keys(space: Space) -> None:
    """Keys are 64 bits; decisions that do not apply do not matter; equal rows, equal functions."""
    X = space.sample(N, rng=4)
    junk: Rows = stream(0, "junk").integers(0, space.n_options, size=X.shape)
    same = np.where(space.active(X), X, junk).astype(X.dtype)
    # where decisions apply by what they hold, junk may bring them to life
    still = (space.active(same) == space.active(X)).all(axis=1, keepdims=True)
    same = np.where(still, same, X)
    for name, key in (("row_key", space.row_key), ("canonical", space.canonical)):
        keys = key(X)
        assert keys.dtype == np.uint64, f"`{name}` is {keys.dtype}, not uint64"
        assert keys.shape == (N,), f"`{name}` has shape {keys.shape}"
        assert np.array_equal(key(same), keys), f"`{name}` reads decisions that do not apply"
        assert np.array_equal(key(X[::-1]), keys[::-1]), f"`{name}` depends on the batch"
        assert key(X[:0]).shape == (0,), f"`{name}` of no rows"
    pairs = np.stack([space.row_key(X), space.canonical(X)], axis=1)
    assert len(np.unique(pairs[:, 0])) == len(np.unique(pairs, axis=0)), (
        "equal row_key, but different canonical"
    )
    assert np.array_equal(space.canonical_form(space.canonical_form(same)), X), (
        "`canonical_form` is not idempotent"
    )


def check_strings(space: Space) -> None:
    """`from_str` undoes `to_str`, and anything else is a SpaceError that names the culprit."""
    X = space.sample(N, rng=5)
    strings = space.to_str(X)
    assert all(isinstance(text, str) for text in strings), "`to_str` gives other things"
    back = space.from_str(strings)
    assert np.array_equal(space.row_key(back), space.row_key(X)), "`from_str` loses something"
    assert space.to_str(back) == strings, "one architecture has two strings"
    assert np.array_equal(space.from_str(strings[0]), back[:1]), "one string alone"
    assert space.from_str([]).shape == (0, space.d), "no strings"
    for wrong in ("", "no such architecture", strings[0] + "?", strings[0][1:], "=,=|~+", None, 7):
        error = refusal(space.from_str, [strings[0], wrong])
        assert error is not None, f"{wrong!r} was read as an architecture"
        assert space.name in str(error), f"{error} does not name the space"


def check_graphs(space: Space) -> None:
    """The graph view: known operations, input first, output last, edges forward, per row."""
    X = space.sample(N, rng=6)
    ops, adjacency = space.graphs(X)
    v = ops.shape[1]
    words = space.vocabulary
    assert ops.shape == (N, v), f"`ops` has shape {ops.shape}"
    assert adjacency.shape == (N, v, v), f"`adjacency` has shape {adjacency.shape}"
    assert ops.dtype.kind == "i", f"`ops` is {ops.dtype}"
    assert adjacency.dtype == np.bool_, f"`adjacency` is {adjacency.dtype}"
    assert len(set(words)) == len(words), "a word of the vocabulary is there twice"
    assert words[:2] == ("input", "output"), "the vocabulary begins with input and output"
    assert bool(((ops >= -1) & (ops < len(words))).all()), "an operation is not in the vocabulary"
    assert bool((ops[:, 0] == 0).all()), "the first vertex is not the input"
    assert bool((ops[:, -1] == 1).all()), "the last vertex is not the output"
    assert not np.tril(adjacency).any(), "an edge does not lead to a later vertex"
    there: NDArray[np.bool_] = np.asarray(ops >= 0)
    assert not (adjacency & ~(there[:, :, None] & there[:, None, :])).any(), "an edge to nothing"
    inner = there[:, 1:-1]
    assert bool(np.any(adjacency, axis=1)[:, 1:-1][inner].all()), "a vertex has no input"
    assert bool(np.any(adjacency, axis=2)[:, 1:-1][inner].all()), "a vertex leads nowhere"
    some = stream(0, "batch").permutation(N)[:7]
    part = space.graphs(X[some])
    assert np.array_equal(part.ops, ops[some]), "`ops` depends on the batch"
    assert np.array_equal(part.adjacency, adjacency[some]), "`adjacency` depends on the batch"
    assert space.graphs(X[:0]).adjacency.shape == (0, v, v), "graphs of no rows"


def check_relabelling(space: Space) -> None:
    """Rows whose graphs are equal up to the order of vertices have one `canonical`.

    Not a promise of a space whose published key tells more apart than its graphs do: `nb201`.
    """
    X = np.concatenate([space.sample(N, rng=7), *[space.mutate(space.sample(N, rng=7), rng=8)]])
    graphs = space.graphs(X)
    prints, canonical = fingerprints(graphs), space.canonical(X)
    assert np.array_equal(fingerprints(relabelled(graphs, stream(0, "relabel"))), prints)
    pairs = np.stack([prints, canonical], axis=1)
    assert len(np.unique(pairs, axis=0)) == len(np.unique(prints)), (
        "two rows have equal graphs and different `canonical`"
    )


def fingerprints(graphs: Graphs) -> NDArray[np.uint64]:
    """Keys of graphs that do not depend on the order of vertices, shape (n,).

    The multiset of all vertices, each with the tree of what leads to it and of what it leads to.
    """
    ops, adjacency = graphs
    there = ops >= 0
    empty = np.uint64(0)
    own = np.where(there, hashing.mix(ops.astype(np.uint64)), empty)
    # what leads to a vertex, and what it leads to, in one sweep each
    above, below = own.copy(), own.copy()
    for j in range(ops.shape[1]):
        parts = np.where(adjacency[:, :, j], above, empty)
        above[:, j] = hashing.combine(own[:, j], hashing.combine_set(parts))
    for i in reversed(range(ops.shape[1])):
        parts = np.where(adjacency[:, i], below, empty)
        below[:, i] = hashing.combine(own[:, i], hashing.combine_set(parts))
    return hashing.combine_set(np.where(there, hashing.combine(above, below), empty))


def relabelled(graphs: Graphs, rng: np.random.Generator) -> Graphs:
    """The same graphs with their vertices in another topological order, input and output kept."""
    ops, adjacency = graphs
    n, v = ops.shape
    order = np.zeros((n, v), dtype=np.intp)
    waiting = adjacency.copy()
    free = np.ones((n, v), dtype=bool)
    for place in range(v):
        ready = free & ~waiting.any(axis=1)
        if place < v - 1:
            ready[:, -1] = False
        if place == 0:
            ready[:, 1:] = False
        order[:, place] = np.argmax(rng.random((n, v)) * ready, axis=1)
        line = np.arange(n)
        free[line, order[:, place]] = False
        waiting[line, order[:, place]] = False
    rows = np.take_along_axis(adjacency, order[:, :, None], axis=1)
    return Graphs(
        np.take_along_axis(ops, order, axis=1), np.take_along_axis(rows, order[:, None, :], axis=2)
    )


def check_networks(space: Space, n: int = 4) -> None:
    """`build` gives the same structure each time; it runs, trains, copies and can be traced."""
    import torch
    from torch import fx, nn

    shape, outputs = space.input_shape, space.n_outputs
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for x, name in zip(X := space.sample(n, rng=9), space.to_str(X), strict=True):
            net = space.build(x, shape, outputs)
            assert isinstance(net, nn.Module), f"{name}: {type(net).__name__} is no module"
            again = space.build(x, shape, outputs)
            sizes = [[(k, p.shape) for k, p in m.state_dict().items()] for m in (net, again)]
            assert sizes[0] == sizes[1], f"{name}: two builds, two structures"
            inputs = torch.randn(2, *shape)
            answer = net(inputs)
            assert answer.shape == (2, outputs), f"{name}: output {tuple(answer.shape)}"
            assert bool(torch.isfinite(answer).all()), f"{name}: not finite"
            answer.square().mean().backward()
            idle = [k for k, p in net.named_parameters() if p.requires_grad and p.grad is None]
            assert not idle, f"{name}: no gradient for {idle[0]}"
            net.eval()
            torch.manual_seed(1)  # for networks that draw in every pass
            expected = net(inputs)
            for other in (copy.deepcopy(net), fx.symbolic_trace(net)):
                torch.manual_seed(1)
                assert torch.equal(other(inputs), expected), f"{name}: a copy differs"


def check_costs(space: Space, n: int = 4) -> None:
    """`costs` is what `foretell.nets.counts.measure` counts; also for other data."""
    from foretell.nets.counts import measure

    first, *rest = space.input_shape
    other = space.with_io((first + 1, *(size + 3 for size in rest)), space.n_outputs + 2)
    for one in (space, other):
        X = one.sample(n, rng=10)
        shape, outputs = one.input_shape, one.n_outputs
        counted = [measure(partial(one.build, x, shape, outputs), shape) for x in X]
        params, flops = one.costs(X)
        assert params.dtype == flops.dtype == np.int64, "costs are int64"
        said = list(zip(params.tolist(), flops.tolist(), strict=True))
        assert said == counted, f"`costs` says {said}, measured {counted}"
    if space.closed_form_costs:
        X = space.sample(N, rng=11)
        assert np.array_equal(space.costs(X[::-1]).params, space.costs(X).params[::-1])
    assert space.costs(space.sample(0)).params.shape == (0,), "costs of no rows"


def check_wrong_rows(space: Space) -> None:
    """What are not rows of the space is a SpaceError, and `contains` says no."""
    x = space.sample(1, rng=12)[0].astype(np.int64)
    high = x.copy()
    high[-1] = space.n_options[-1]
    wrongs: tuple[Any, ...] = (
        x,
        x[None, :-1],
        np.append(x, 0)[None],
        x[None, None],
        x[None] + 0.5,
        np.full((1, space.d), np.nan),
        x[None].astype(str),
        np.array([[None] * space.d]),
        high[None],
        x[None] - 1000,
        x[None] + 2**40,
        [x.tolist(), x.tolist()[:-1]],
        space.to_str(x[None]),
        None,
    )
    for wrong in wrongs:
        for call in (space.check, space.mutate, space.to_str, space.costs):
            assert refusal(call, wrong) is not None, f"`{call.__name__}` took {wrong!r}"
        assert not space.contains(wrong).any() or isinstance(wrong, list), f"contains {wrong!r}"
    for right in (x[None], x[None].astype(float), x[None].tolist(), np.zeros((0, space.d))):
        assert bool(space.contains(right).all()), f"`contains` denies {right!r}"
        space.check(right)


def refusal(call: Callable[..., Any], *args: Any) -> SpaceError | None:
    """The SpaceError of a call, or None where there was none."""
    try:
        call(*args)
    except SpaceError as error:
        return error
    return None


def check_global_randomness(space: Space) -> None:
    """The global generators of random, numpy and torch are not touched, except by `build`."""

    def use() -> None:
        X = space.mutate(space.sample(20, rng=0), rng=0)
        for call in (space.neighbors, space.decode):
            call(X[0])
        for many in (space.graphs, space.to_str, space.canonical):
            many(X)
        space.costs(X[:2])

    use()  # what it imports may draw
    before = global_states()
    use()
    for name, state in global_states().items():
        assert state == before[name], f"the space used the global generator of {name}"


def check_other_process(space: Space) -> None:
    """Rows, moves, keys, strings and graphs are the same in another process."""
    script = (
        "import pickle, sys\n"
        "from foretell.testing.spaces import said\n"
        "print(said(pickle.load(open(sys.argv[1], 'rb'))))"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "space"
        path.write_bytes(cloudpickle.dumps(space))
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)],
            env={**os.environ, "PYTHONHASHSEED": "17"},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == said(space), "another process sees another space"


def said(space: Space) -> str:
    """All that a space says of a few rows, in one line."""
    X = space.mutate(space.sample(10, rng=13), rng=14)
    parts: list[Any] = [X, space.neighbors(X[0]), space.row_key(X), space.canonical(X)]
    parts += [*space.graphs(X), next(space.enumerate(5))]
    return repr([np.asarray(part).tolist() for part in parts] + [space.to_str(X), space.size])


CHECKS: tuple[Callable[[Space], None], ...] = (
    check_enumeration,
    check_sampling,
    check_moves,
    check_keys,
    check_strings,
    check_graphs,
    check_relabelling,
    check_networks,
    check_costs,
    check_wrong_rows,
    check_global_randomness,
    check_other_process,
)
