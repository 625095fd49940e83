from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import foretell as ft
from foretell.encodings.flow import Flow
from foretell.spaces.parts.wiring import Wiring

NB101 = ft.spaces.get("nb101")


def paths(adjacency, at=0):
    last = len(adjacency) - 1
    if at == last:
        yield (at,)
        return
    for to in np.flatnonzero(adjacency[at]):
        for rest in paths(adjacency, to):
            yield (at, *rest)


def odds_of(ops, adjacency, passes, joins, projects):
    """Odds of each edge, and the variance at the output, from covariances of signals.

    An operation that gives out anew is independent of all before it; one that passes on has the
    covariances of what it reads.
    """
    v = len(ops)
    cov = np.zeros((v, v))  # of what vertices give out
    cov[0, 0] = 1.0
    odds, total = np.zeros((v, v)), 0.0
    for j in range(1, v):
        (before,) = np.nonzero(adjacency[:, j])
        if not len(before):
            continue
        of = cov[np.ix_(before, before)].copy()
        apart = projects & (before == 0)
        of[apart] = of[:, apart] = 0.0
        of[apart, apart] = 1.0
        shares = np.diag(of) if joins and j == v - 1 else of.sum(axis=1)
        total = shares.sum()
        odds[before, j] = shares / total
        gain = passes.get(ops[j], 0.0)
        if j < v - 1 and gain:
            other = cov[:, before[~apart]].sum(axis=1) * np.sqrt(gain)
            cov[j], cov[:, j] = other, other
            cov[j, j] = gain * of.sum()
        else:
            cov[j, j] = 1.0
    return odds, total


@pytest.mark.parametrize("name", ["nb101", "nb201", "tnb-micro", "nb1shot1-1", "nb-graph"])
def test_against_covariances_and_a_list_of_all_paths(name):
    space = ft.spaces.get(name)
    X = space.sample(150, rng=0)
    graphs, wiring = space.graphs(X), space.wiring or Wiring()
    words = range(2, len(space.vocabulary))
    q = len(words)
    sizes = range(1, q) if q <= 4 else range(1, 3 if q <= 8 else 2)
    sets = [*(one for k in sizes for one in combinations(words, k)), tuple(words)]
    found = Flow(space).transform(X)
    assert found.shape == (150, 4 * len(sets) + 1)
    for i in range(len(X)):
        ops = graphs.ops[i]
        names = [space.vocabulary[op] if op >= 0 else "" for op in ops]
        odds, variance = odds_of(names, graphs.adjacency[i], *wiring)
        known = list(paths(graphs.adjacency[i]))
        chance = np.array([np.prod(odds[p[:-1], p[1:]]) for p in map(np.array, known)])
        if not known:
            assert not found[i].any()
            continue
        assert chance.sum() == pytest.approx(1.0)
        rows = []
        for one in sets:
            met = np.array([np.isin(ops[list(p)], one).sum() for p in known])
            mean, past = chance @ met, chance @ (met == 0)
            spread = np.sqrt(chance @ (met - mean) ** 2)
            rows.append([mean, spread, past, np.log1p(variance * past)])
        expected = [*np.array(rows).T.ravel(), np.log(variance)]
        assert np.allclose(found[i], expected, rtol=1e-4, atol=1e-4)


def test_renaming_vertices_changes_nothing():
    one, other = (
        NB101.from_str([text])
        for text in (
            "01110/00001/00001/00001/00000:conv3x3,conv1x1,maxpool3x3",
            "01110/00001/00001/00001/00000:maxpool3x3,conv3x3,conv1x1",
        )
    )
    assert (one != other).any()
    assert np.allclose(Flow(NB101).transform(one), Flow(NB101).transform(other))


def test_two_poolings_of_one_signal_bring_more_than_two_of_two():
    """In NAS-Bench-201 both are of the input, 2 x the signal; a convolution beside is apart."""
    space = ft.spaces.get("nb201")
    same = "|avg_pool_3x3~0|+|avg_pool_3x3~0|none~1|+|none~0|skip_connect~1|skip_connect~2|"
    apart = same.replace("|avg_pool_3x3~0|none~1|", "|nor_conv_3x3~0|none~1|")
    log = Flow(space).transform(space.from_str([same, apart]))[:, -1]
    assert log == pytest.approx(np.log([4.0, 2.0]), rel=1e-6)


def test_blocks_do_not_matter():
    X = np.repeat(NB101.sample(5, rng=0), 300, axis=0)
    found = Flow(NB101).transform(X)
    assert np.array_equal(found[::300], Flow(NB101).transform(X[::300]))


def test_numbers_of_a_set_belong_together():
    assert Flow(NB101).groups().tolist() == [*list(range(7)) * 4, 7]
