"""The network to beat: a real row of every space, the known one where there is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.errors import SpaceError
from foretell.spaces.parts.listed import listed

SMALL = {
    "nb101": {"channels": 8, "n_cells": 1},
    "nb201": {"channels": 4, "n_cells": 1},
    "tabular": {"input_shape": (7,)},
}


@pytest.mark.parametrize("name", ft.spaces.names())
def test_every_space_of_the_catalog_has_one_that_runs(name: str) -> None:
    space = ft.spaces.get(name, **SMALL.get(name, {}))
    found = space.baseline()
    assert found is not None
    said, row = found
    assert said
    assert row.shape == (space.d,)
    assert space.contains(row[None]).all()
    assert np.array_equal(space.canonical_form(row[None])[0], row)
    assert np.array_equal(space.baseline()[1], row)
    with torch.no_grad():
        out = space.build(row, space.input_shape, 3).eval()(torch.zeros(2, *space.input_shape))
    assert out.shape == (2, 3)


def test_resnet_of_nb201_is_two_convolutions_and_the_identity(data_dir: Path) -> None:
    space = ft.spaces.get("nb201")
    said, row = space.baseline()
    assert said == "ResNet cell"
    picked = {edge: op for edge, op in space.decode(row).items() if op != "none"}
    assert picked == {
        "edge_0_1": "nor_conv_3x3",
        "edge_1_2": "nor_conv_3x3",
        "edge_2_3": "skip_connect",
        "edge_0_3": "skip_connect",
    }
    # what people would make by hand is better than most of what chance makes
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=space)
    value = table.query(row[None], "cifar10_test_200ep")[0]
    assert (table.column("cifar10_test_200ep") < value).mean() > 0.9


def test_resnet_of_nb101_has_two_convolutions_and_a_shortcut() -> None:
    space = ft.spaces.get("nb101")
    said, row = space.baseline()
    picked = space.decode(row)
    edges = {name for name, there in picked.items() if name.startswith("edge") and there}
    assert said == "ResNet cell"
    assert edges == {"edge_0_1", "edge_0_6", "edge_1_2", "edge_2_6"}
    assert (picked["op_1"], picked["op_2"], picked["op_3"]) == ("conv3x3-bn-relu",) * 2 + (None,)


@pytest.mark.parametrize(
    "settings",
    [
        {"preset": "tiny"},
        {},
        {"preset": "base"},
        {"kernels": [7, 5], "expands": [3], "depths": [4], "widths": [2, 1, 3]},
    ],
)
def test_mobile_takes_the_nearest_that_its_options_allow(settings: dict[str, object]) -> None:
    space = ft.spaces.get("mobile", **settings)
    picked = space.decode(space.baseline()[1])
    for s in range(1, space.n_stages + 1):
        assert picked[f"op_{s}"] == "mbconv"
        assert picked[f"se_{s}"] == 0
        for name, wanted in (("depth", 2), ("kernel", 3), ("expand", 6)):
            options = next(c.options for c in space.choices if c.name == f"{name}_{s}")
            best = min(abs(option - wanted) for option in options)
            assert abs(picked[f"{name}_{s}"] - wanted) == best


def test_an_own_space_has_its_middle_or_what_it_names() -> None:
    class Own(ft.Space):
        depth = ft.choice([1, 2, 3])
        width = ft.choice([8, 16, 32, 64], repeat="depth")

    class Named(Own):
        def by_hand(self) -> tuple[str, str]:
            return "what runs today", "depth=1,width_0=64"

    class Forbids(Own):
        def valid(self, X: np.ndarray) -> np.ndarray:
            return X[:, 0] != 1

    assert Own().to_str(Own().baseline()[1][None]) == ["depth=2,width_0=16,width_1=16"]
    assert Named().baseline()[0] == "what runs today"

    class Wrong(Own):
        def by_hand(self) -> tuple[str, str]:
            return "typed wrongly", "depth=1,width_0=63"

    assert Forbids().baseline() is None
    with pytest.raises(SpaceError, match="63"):
        Wrong().baseline()


def test_a_space_without_that_row_has_no_baseline() -> None:
    space = ft.spaces.get("nb201")
    row = space.baseline()[1]
    assert listed(space, [[3] * 6]).baseline() is None
    assert np.array_equal(listed(space, [row]).baseline()[1], row)
