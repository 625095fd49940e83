"""Mobile: counts by hand, networks against their closed-form costs, and real learning."""

from __future__ import annotations

import itertools
import resource

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional

import foretell as ft
from foretell.errors import SettingError, SpaceError
from foretell.nets.counts import measure
from foretell.spaces.mobile import Mobile, strides


def test_sizes_by_hand():
    # a stage: conv 1, ds 2 kernels, fused 2 expansions, mbconv both; squeeze, widths, depths
    stage = (1 + 2 + 2 + 2 * 2) * 2 * 2 * 2
    assert [Mobile(n_stages=n).size for n in (1, 2, 3, 4)] == [stage**n for n in (1, 2, 3, 4)]
    assert Mobile().size == 373_248
    assert Mobile(preset="base").size == ((1 + 3 + 3 + 3 * 3) * 2 * 3 * 4) ** 5
    many = Mobile(n_stages=2, depths=(1, 2, 3), widths=(0.5, 1, 2), kernels=(3, 5, 7), expands=(2,))
    assert many.size == ((1 + 3 + 1 + 3) * 2 * 3 * 3) ** 2
    assert len(np.unique(np.concatenate(list(many.enumerate())), axis=0)) == many.size


@pytest.mark.parametrize(
    ("settings", "shape", "outputs"),
    [
        ({}, (1, 8, 8), 10),
        ({}, (1, 28, 28), 10),
        ({}, (3, 32, 32), 100),
        ({}, (3, 33, 57), 1),
        ({}, (2, 3, 200), 4),
        ({}, (1, 1, 1), 2),
        ({"n_stages": 1}, (3, 129, 96), 5),
        ({"n_stages": 2, "width": 0.5, "widths": (1, 2)}, (3, 64, 64), 7),
        ({"preset": "base"}, (3, 224, 224), 1000),
        ({"preset": "base", "n_stages": 7}, (4, 50, 50), 3),
    ],
)
def test_costs_are_those_of_the_network(settings, shape, outputs):
    space = Mobile(**settings).with_io(shape, outputs)
    X = space.sample(12, rng=0)
    counted = [measure(lambda x=x: space.build(x, shape, outputs), shape) for x in X]
    params, flops = space.costs(X)
    assert list(zip(params.tolist(), flops.tolist(), strict=True)) == counted


def test_costs_of_one_network_by_hand():
    space = Mobile(n_stages=1, input_shape=(1, 8, 8), n_outputs=2)
    X = space.from_str("mbconv_d2_k3_e2_c24_se0.25")

    def block(came, pixels_in, pixels_out):
        wide = 2 * came
        weights = [came * wide, wide * 9, 2 * wide * max(4, came // 4), wide * 24]
        pixels = [pixels_in, pixels_out, 1, pixels_out]
        norms = 2 * (wide + wide + 24)
        squeeze_biases = wide + max(4, came // 4)
        return sum(weights) + norms + squeeze_biases, 2 * np.dot(weights, pixels)

    blocks = np.add(block(16, 64, 16), block(24, 16, 16))
    stem, last = np.array([9 * 16 + 32, 2 * 9 * 16 * 64]), [24 * 32 + 64, 2 * 24 * 32 * 16]
    head = [32 * 2 + 2, 2 * 32 * 2]
    expected = blocks + stem + last + head
    assert [int(c[0]) for c in space.costs(X)] == expected.tolist()


def test_strides_leave_four_to_seven_pixels():
    for side, n_stages in itertools.product(range(8, 260), (3, 4, 5)):
        stem, *stages = strides((3, side, side + 5), n_stages)
        left = side / stem / np.prod(stages)
        assert 4 <= left < 8 or (stem == 4 and all(s == 2 for s in stages))
        assert set(stages) <= {1, 2}
    assert strides((1, 3, 3), 3) == (1, 1, 1, 1)
    assert strides((1, 28, 28), 3) == (1, 2, 2, 1)
    assert strides((3, 224, 224), 3) == (4, 2, 2, 2)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 21, 40), (5, 2, 2)])
def test_networks_train_export_and_say_their_shape(shape):
    space = Mobile(input_shape=shape, n_outputs=3)
    for x in space.sample(4, rng=1):
        net = space.build(x, shape, 3)
        images = torch.randn(4, *shape)
        out = net(images)
        assert out.shape == (4, 3)
        out.square().mean().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
        net.eval()
        # operators of ONNX are those that trace without branches; other batch sizes too
        traced = torch.fx.symbolic_trace(net)
        assert torch.equal(traced(images[:1]), net(images[:1]))


def test_the_strings_say_all_and_wrong_ones_are_named():
    space = Mobile(n_stages=2)
    text = "ds_d2_k5_c24_se0+fused_d1_e4_c24_se0.25"
    (x,) = space.from_str(text)
    picked = space.decode(x)
    assert (picked["op_1"], picked["expand_1"]) == ("ds", None)
    assert (picked["depth_1"], picked["kernel_1"], picked["channels_1"]) == (2, 5, 24)
    assert (picked["op_2"], picked["kernel_2"], picked["expand_2"]) == ("fused", None, 4)
    assert (picked["se_1"], picked["se_2"]) == (0, 0.25)
    for wrong in ("ds_d2_k9_c24_se0", "ds_d2_k5_e2_c24_se0", "conv_d1_c24", "DS_d2_k5_c24_se0"):
        with pytest.raises(SpaceError, match=f"at '{wrong}'"):
            space.from_str([text, f"conv_d1_c16_se0+{wrong}"])
    with pytest.raises(SpaceError, match="1 of 2 stages"):
        space.from_str(["ds_d2_k5_c24_se0"])


def test_the_graph_is_the_network_in_words():
    space = Mobile(n_stages=2)
    ops, adjacency = space.graphs(space.from_str("ds_d2_k5_c24_se0+fused_d1_e4_c36_se0.25"))
    words = [space.vocabulary[o] for o in ops[0] if o >= 0]
    block = "ds_k5_se0"
    assert words == ["input", "c24", block, block, "c36", "fused_e4_se0.25", "output"]
    assert adjacency[0].sum() == 6
    for preset in ("small", "base"):
        one = Mobile(preset=preset)
        assert len(one.vocabulary) < 60
        X = one.sample(2000, rng=0)
        prints = {g.tobytes() for g in one.graphs(X).ops}
        assert len(prints) == len(np.unique(one.row_key(X)))  # the view loses nothing


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"preset": "huge"}, "preset 'huge'"),
        ({"n_stages": 0}, "n_stages"),
        ({"n_stages": 2.5}, "n_stages"),
        ({"width": 0}, "width"),
        ({"width": "big"}, "width"),
        ({"width": 0.1}, "different numbers"),
        ({"widths": (1, 1.01)}, "different numbers"),
        ({"depths": (0, 1)}, "depths"),
        ({"depths": "12"}, "depths"),
        ({"kernels": (3, 4)}, "odd"),
        ({"kernels": (3, 3)}, "different options"),
        ({"expands": (1, 2)}, "expands"),
        ({"expands": (2.5,)}, "expands"),
        ({"input_shape": (64,)}, "tabular"),
        ({"n_outputs": 0}, "n_outputs"),
    ],
)
def test_settings_that_cannot_work(settings, words):
    with pytest.raises((SettingError, SpaceError), match=words):
        Mobile(**settings)


def test_images_only():
    space = Mobile()
    with pytest.raises(SpaceError, match="takes images"):
        space.build(space.sample(1, rng=0)[0], (64,), 2)
    with pytest.raises(SpaceError, match="takes images"):
        space.with_io((64,), 2).costs(space.sample(1, rng=0))


@pytest.mark.slow
def test_a_hundred_million_rows_stream_in_constant_memory():
    space = Mobile(n_stages=4, depths=(1, 2, 3))
    assert space.size == 108**4 == 136_048_896
    blocks = space.enumerate()
    first = next(blocks)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    n = len(first)
    last = first
    for rows in itertools.islice(blocks, 300):  # 20 million, the rest is like them
        n += len(rows)
        last = rows
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert n == 301 * 65_536
    assert after - before < 64 * 1024  # KiB
    assert len(np.unique(last, axis=0)) == len(last)
    end = space._grid.rows(space.size - 1, 1)
    assert space.to_str(end) == ["+".join(f"mbconv_d3_k5_e4_c{c}_se0.25" for c in (24, 36, 56, 80))]


def test_three_networks_learn_digits():
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None]
    images = (images - images.mean()) / images.std()
    labels = torch.tensor(digits.target)
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = order[:1250], order[1250:]
    space = ft.spaces.get("mobile", input_shape=(1, 8, 8))
    scores = []
    for x in space.sample(3, rng=0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = space.build(x, (1, 8, 8), 10)
            sgd = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
            steps = 5 * (1250 // 50)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, steps)
            for step in range(steps):
                if step % 25 == 0:
                    shuffled = torch.randperm(1250)
                batch = train[shuffled[step % 25 * 50 :][:50]]
                loss = functional.cross_entropy(net(images[batch]), labels[batch])
                sgd.zero_grad()
                loss.backward()
                sgd.step()
                schedule.step()
        net.eval()
        with torch.no_grad():
            scores.append(float((net(images[test]).argmax(1) == labels[test]).float().mean()))
    assert min(scores) > 0.95
    assert max(scores) > 0.97
