"""Once-for-all MobileNetV3: parameters and multiply-adds are the published ones."""

from __future__ import annotations

import csv
import gzip
import json

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.errors import SpaceError
from foretell.nets.counts import measure


def settings(record):
    lists = {name: [int(v) for v in record[name].split()] for name in ("ks", "e", "d")}
    return json.dumps({**lists, "image_size": int(record["resolution"])})


@pytest.fixture(scope="module")
def records(data_dir):
    with gzip.open(data_dir / "ofa_subnets.csv.gz", "rt") as lines:
        return [r for r in csv.DictReader(lines) if r["supernet"] == "ofa_mbv3_w1.0"]


def test_parameters_and_macs_are_the_published_ones(records) -> None:
    known = [r for r in records if r["params"]][::40]
    space = ft.spaces.get("ofa-mbv3")
    costs = space.costs(space.from_str([settings(r) for r in known]))
    np.testing.assert_array_equal(costs.params, [int(r["params"]) for r in known])
    macs = [float(r["macs"]) for r in known]  # published with seven digits
    np.testing.assert_allclose(costs.flops / 2, macs, rtol=1e-6)


def test_what_stands_beyond_the_depth_does_nothing(records) -> None:
    space = ft.spaces.get("ofa-mbv3")
    record = dict(next(r for r in records if r["d"].startswith("2")))
    other = {
        **record,
        "ks": " ".join([*record["ks"].split()[:2], "7", "7", *record["ks"].split()[4:]]),
    }
    a, b = space.from_str([settings(record), settings(other)])
    np.testing.assert_array_equal(a, b)


def test_strings_come_back() -> None:
    space = ft.spaces.get("ofa-mbv3")
    X = space.sample(50, rng=0)
    np.testing.assert_array_equal(space.from_str(space.to_str(X)), X)
    for text in ("r224", "r100" + 5 * "+k3e3-k3e3", "r224" + 5 * "+k3e3", "{}", '{"ks": 3}'):
        with pytest.raises(SpaceError, match="ofa-mbv3"):
            space.from_str([text])


def test_size_is_the_published_one() -> None:
    # Cai et al.: about 2 x 10^19 sub-networks; each stage 9^2 + 9^3 + 9^4 ways
    assert ft.spaces.get("ofa-mbv3", resolutions=(224,)).size == (81 + 729 + 6561) ** 5


def test_networks_bring_images_to_their_resolution() -> None:
    space = ft.spaces.get("ofa-mbv3", resolutions=(16, 24), width=0.2, input_shape=(3, 20, 20))
    space = space.with_io((3, 20, 20), 4)
    X = space.sample(3, rng=1)
    counted = [measure(lambda x=x: space.build(x, (3, 20, 20), 4), (3, 20, 20)) for x in X]
    np.testing.assert_array_equal(np.stack(space.costs(X), axis=1), counted)
    net = space.build(X[0], (3, 20, 20), 4)
    assert net(torch.randn(2, 3, 20, 20)).shape == (2, 4)
