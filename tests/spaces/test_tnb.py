"""TransNAS-Bench-101: published strings and counts, and the tables of its cells."""

from __future__ import annotations

import csv
import gzip
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

import foretell as ft
from foretell.errors import SettingError, SpaceError
from foretell.nets.counts import measure


def test_published_strings() -> None:
    space = ft.spaces.get("tnb-micro")
    X = np.concatenate(list(space.enumerate()))
    texts = space.to_str(X)
    assert len(set(texts)) == 4_096
    assert texts[0] == "64-41414-0_00_000"
    np.testing.assert_array_equal(space.from_str(texts), X)


@pytest.mark.parametrize(
    "text", ["64-41414-4_00_000", "64-41414-0_00_00", "32-41414-0_00_000", "64-1234-basic", "x"]
)
def test_other_strings_are_refused(text: str) -> None:
    with pytest.raises(SpaceError, match="tnb-micro"):
        ft.spaces.get("tnb-micro").from_str([text])


def test_published_count_of_skeletons() -> None:
    space = ft.spaces.get("tnb-macro")
    chosen = sum(
        sum(math.comb(depth, a) for a in (1, 2, 3)) * sum(math.comb(depth, b) for b in (1, 2, 3, 4))
        for depth in (4, 5, 6)
    )
    assert space.size == chosen == 3_256
    X = np.concatenate(list(space.enumerate()))
    np.testing.assert_array_equal(space.from_str(space.to_str(X)), X)
    for text in ("64-1111-basic", "64-22221-basic", "64-333331-basic", "64-123-basic"):
        with pytest.raises(SpaceError):
            space.from_str([text])


def full_cell(cell, row, x, stride):
    """The cell with every edge computed; those that are left out are zeros here."""
    nodes = [x]
    for j in range(1, 4):
        total = 0
        for i in range(j):
            op = row[[(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)].index((i, j))]
            key = f"edge_{i}_{j}"
            if op == 1 and key not in cell.ops and (i or cell.same):
                total = total + nodes[i]
            elif op and key in cell.ops:
                total = total + cell.ops[key](nodes[i])
        nodes.append(total)
    return nodes[3]


@pytest.mark.parametrize("stride", [1, 2])
def test_a_cell_is_its_sum_over_all_edges(stride: int) -> None:
    from foretell.nets.tnb import Cell

    space = ft.spaces.get("tnb-micro")
    torch.manual_seed(0)
    for row in ([3, 1, 2, 1, 3, 1], [1, 2, 3, 3, 2, 1], [2, 0, 1, 0, 1, 3]):
        cell = Cell(space._terms(row), 4, 8 if stride == 2 else 4, stride)
        cell.same = stride == 1
        x = torch.randn(5, 4, 9, 8)
        torch.testing.assert_close(cell(x), full_cell(cell, row, x, stride))


def test_a_cell_with_no_way_gives_zeros() -> None:
    net = ft.spaces.get("tnb-micro", channels=4, modules="4").build([0] * 6, (3, 20, 12), 3)
    out = net(torch.randn(2, 3, 20, 12))
    torch.testing.assert_close(out[0], net.head[-1].bias)


@pytest.mark.parametrize("name", ["tnb-micro", "tnb-macro"])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 17, 9)])
def test_networks_learn_and_cost_what_is_said(name: str, shape: tuple[int, ...]) -> None:
    space = ft.spaces.get(name, channels=4).with_io(shape, 5)
    X = space.sample(3, rng=0)
    counted = [measure(lambda x=x: space.build(x, shape, 5), shape) for x in X]
    np.testing.assert_array_equal(np.stack(space.costs(X), axis=1), counted)
    net = space.build(X[0], shape, 5)
    functional.cross_entropy(net(torch.randn(3, *shape)), torch.tensor([0, 1, 4])).backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


def test_settings_are_checked() -> None:
    for settings in ({"channels": 3}, {"modules": "45"}, {"modules": ""}):
        with pytest.raises(SettingError):
            ft.spaces.get("tnb-micro", **settings)
    with pytest.raises(SettingError):
        ft.spaces.get("tnb-macro", channels=5)


def test_the_published_table_reads(data_dir) -> None:
    space = ft.spaces.get("tnb-micro")
    file = data_dir / "tnb101_micro.csv.gz"
    table = ft.Table.open(file, space=space)
    with gzip.open(file, "rt") as lines:
        records = list(csv.DictReader(lines))
    assert len(table.X) == len(records) == 4_096
    scene = table.query(table.X, "val_class_scene")
    assert scene.max() == pytest.approx(54.94, abs=0.005)
    flat = space.graphs(table.X).ops[:, 1:7].max(axis=1) < 0  # no way from input to output
    np.testing.assert_allclose(scene[flat], 7.484, atol=0.001)
