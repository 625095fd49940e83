"""What a network costs: counted, against sums done by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from foretell.errors import SpaceError
from foretell.nets.counts import _count, measure


def test_convolution_and_linear_by_hand():
    def make():
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, groups=1),
            nn.BatchNorm2d(8),
            nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 5),
        )

    params = (3 * 8 * 9 + 8) + 2 * 8 + 8 * 9 + (8 * 5 + 5)
    flops = 2 * (3 * 8 * 9 * 4 * 3 + 8 * 9 * 4 * 3 + 8 * 5)  # 7 x 5 images become 4 x 3
    assert measure(make, (3, 7, 5)) == (params, flops)


def test_frozen_weights_are_not_trainable():
    def make():
        layer = nn.Linear(4, 2)
        layer.bias.requires_grad_(False)
        return layer

    assert measure(make, (4,))[0] == 8


def test_weights_take_no_memory():
    assert measure(lambda: nn.Linear(10**6, 10**6, bias=False), (10**6,)) == (10**12, 2 * 10**12)


class ReadsValues(nn.Module):
    """Many published networks do this; it is impossible without values."""

    def __init__(self) -> None:
        super().__init__()
        self.rates = [rate.item() for rate in torch.linspace(0, 1, 3)]
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        return self.layer(x) * self.rates[1]


def test_a_network_that_reads_values_is_counted_with_memory():
    assert measure(ReadsValues, (4,)) == (10, 16)


@pytest.mark.parametrize("make", [lambda: nn.Dropout(0.5), ReadsValues])
def test_global_random_state_is_untouched(make):
    before = torch.random.get_rng_state()
    measure(make, (4,))
    assert torch.equal(before, torch.random.get_rng_state())


def test_errors_of_the_builder_reach_the_caller():
    def wrong():
        raise SpaceError("no such operation")

    with pytest.raises(SpaceError, match="no such operation"):
        measure(wrong, (4,))
    with pytest.raises(RuntimeError):
        measure(lambda: nn.Linear(3, 2), (4,))


def test_numbers_are_plain_integers():
    counted = measure(lambda: nn.Linear(10, 3), (10,))
    assert [type(number) for number in counted] == [int, int]
    assert np.array(counted).dtype == np.int64


def test_layers_that_are_passed_over_change_no_count():
    """Normalisation is left out on the meta device, its parameters are not."""

    def make():
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
            nn.Conv2d(8, 8, 3, stride=2), nn.GroupNorm(2, 8), nn.InstanceNorm2d(8, affine=True),
            nn.Flatten(2), nn.BatchNorm1d(8), nn.LayerNorm(9), nn.Linear(9, 5),
        )  # fmt: skip

    params = 8 * 27 + 8 + 16 + 8 * 72 + 8 + 16 + 16 + 16 + 18 + 50
    flops = 2 * (64 * 8 * 27 + 9 * 8 * 72 + 8 * 9 * 5)
    assert measure(make, (3, 8, 8)) == (params, flops)
    assert _count(make, (3, 8, 8), "cpu") == (params, flops)


def test_a_normalisation_of_ones_own_is_run():
    class Halves(nn.BatchNorm2d):
        def forward(self, x):
            return super().forward(x)[..., ::2, ::2]

    def make():
        return nn.Sequential(Halves(3), nn.Conv2d(3, 4, 1))

    assert measure(make, (3, 8, 8)) == (6 + 16, 2 * 16 * 4 * 3)
