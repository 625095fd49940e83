"""The three spaces of NAS-Bench-1Shot1, and their supernets."""

from __future__ import annotations

import csv
import gzip

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.errors import SettingError
from foretell.supernets.method import Method
from foretell.supernets.wrapper import FewShot
from foretell.training.data import load

NAMES = ("nb1shot1-1", "nb1shot1-2", "nb1shot1-3")


def distinct(space) -> int:
    """Graphs after removing nodes that reach no output: counted from the rule alone."""
    found, sets = set(), space.picks()
    for X in space.enumerate():
        for row in X.tolist():
            chosen = iter(row)
            parents = [one[next(chosen)] if len(one) > 1 else one[0] for one in sets]
            ops, inner, reached = list(chosen), len(sets) - 1, {len(sets)}
            for v in range(inner + 1, 0, -1):
                reached |= set(parents[v - 1]) if v in reached else set()
            there = sorted(reached - {0, inner + 1})
            found.add((tuple((v, parents[v - 1], ops[v - 1]) for v in there), parents[inner]))
    return len(found)


@pytest.mark.parametrize(("name", "raw", "pruned"), [("nb1shot1-1", 14_580, 3_702),
                                                     ("nb1shot1-2", 29_160, 12_474)])  # fmt: skip
def test_counts_follow_from_the_rules(name: str, raw: int, pruned: int) -> None:
    space = ft.spaces.get(name)
    assert space.size == raw
    assert distinct(space) == pruned


def test_the_third_space_has_its_size() -> None:
    assert ft.spaces.get("nb1shot1-3").size == 1_312_200


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_mixtures_and_back(name: str) -> None:
    space = ft.spaces.get(name)
    X, where = space.sample(60, rng=0), space.mixture()
    weights = where.weights(X)
    assert (where.rows(weights) == X).all()
    assert (weights.sum(2) == [site.keep for site in where.sites]).all()


def test_rows_of_the_first_two_spaces_are_in_the_table(data_dir) -> None:
    """What the table says of which graphs are in a space, and what is best there."""
    inside = ft.spaces.get("nb101")
    with gzip.open(data_dir / "nb101_3seeds.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    keys: dict = {}
    for row in rows:
        best = max(*[float(row[f"test_108_run{k}"]) for k in (1, 2, 3)])
        keys[row["hash"]] = (best, row["oneshot_space"])
    space = ft.spaces.get("nb1shot1-1")
    X = np.concatenate(list(space.enumerate()))
    hashes = set(inside.md5_hash(space.to_nb101(X)))
    said = {one for one, (_, name) in keys.items() if name == "1"}
    assert len(said) > 1000
    assert said <= hashes
    best = max(keys[one][0] for one in hashes & keys.keys())
    assert round(100 * (1 - best), 2) == 5.45  # of a single training, as the paper's code has it


def test_few_shot_splits_by_a_site_of_which_a_row_takes_one() -> None:
    """Each row is of one child: sites of parents have two of their options in every row."""
    space = ft.spaces.get("nb1shot1-1")
    where, X = space.mixture(), space.sample(200, rng=0)
    members = FewShot(0).members(Method(), where, 0)[1:]
    taken = where.weights(X) > 0
    held = [~(taken & ~member.mask).any(axis=(1, 2)) for member in members]
    assert (np.sum(held, axis=0) == 1).all()
    with pytest.raises(SettingError, match="0 to 3"):
        FewShot(4).members(Method(), where, 0)


@pytest.mark.parametrize(("name", "method"), [("nb1shot1-1", "gdas"), ("nb1shot1-3", "darts")])
def test_searches_find_rows(name: str, method: str) -> None:
    space = ft.spaces.get(name, channels=8, n_stacks=2, n_cells=1)
    digits = load("digits", fractions=(0.06, 0.05, 0.89))
    search = ft.supernets.get(method, space=space, epochs=1).fit(digits)
    assert space.contains(search.ranking_).all()
    z = torch.from_numpy(space.mixture().weights(search.best_[None])[0])
    net = search.runs_[0][1].net
    before = [m.calls for m in net.mixed()]
    net.board.show(z)
    net(torch.randn(2, 1, 8, 8))
    calls = [m.calls - b for m, b in zip(net.mixed(), before, strict=True)]
    there = (space.graphs(search.best_[None]).ops[0] >= 2).sum()
    assert sum(calls) == 2 * there  # each node that is there, in both cells, and no other
