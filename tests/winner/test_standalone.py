from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import foretell as ft
from foretell.winner.parts import standalone
from foretell.winner.parts.model_file import model_file
from foretell.winner.parts.standalone import NotTraceable, source_of

SHAPE = (3, 12, 12)
F = nn.functional


class Bare(nn.Module):
    """Runs `forward(self, x)` over the given parts."""

    def __init__(self, forward, **parts):
        super().__init__()
        self._run = forward
        for name, part in parts.items():
            if isinstance(part, torch.Tensor) and not isinstance(part, nn.Parameter):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)

    def forward(self, x):
        return self._run(self, x)


class SqueezeExcite(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 2, 1), nn.Conv2d(2, channels, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3), keepdim=True)))))


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def residual(m, x):
    for block in m.blocks:
        x = x + block(x)
    return m.head(x.flatten(1).mean(1, keepdim=True))


def two_branches(m, x):
    left, right = m.branches["left"](x), m.branches["right-1"](x)
    out = torch.cat([left[:, :2], right], dim=1)
    return -(2 ** -out.mean((2, 3))) / 3 + 1


def direct(m, x):
    x = F.max_pool2d(F.pad(x, (1, 1, 0, 0)), 2) * m.scale - m.shift
    x = F.dropout(x, 0.5, m.training)
    a, b, c = x.unbind(1)
    return torch.stack([a.amax((1, 2)), b.std((1, 2)), c[:, 1:3, ::2].sum((1, 2))], 1)


def rarer(m, x):
    power = torch.fft.rfft2(x).abs().mean((2, 3))
    return (
        torch.special.expit(power)
        + torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True)[:, 0, 0]
    )


def reuse(m, x):  # every variable is needed again later
    a = m.conv(x)
    b = m.conv(a)
    c = a + b
    d = torch.relu_(c - a)
    return (x + a * b + c + d).reshape(x.shape[0], -1)[:, :5]


def repeated(m, x):
    for block in m.blocks:
        x = block(x)
    return m.last(x).mean((2, 3))


def recurrent(m, x):
    x = x.transpose(1, 2).flatten(2)
    for part in (m.a, m.b, m.c):
        x = part(x)[0]
    return x[:, -1]


def chain_with_one_activation(act):
    return nn.Sequential(conv(3, 3, 1), act, conv(3, 3, 1), act, nn.Flatten(), nn.Linear(432, 4))


def conv(i, o, *args, **kwargs):
    return nn.Conv2d(i, o, *args, **kwargs)


MODULES = {
    "conv-bn-pool": lambda: nn.Sequential(
        conv(3, 8, 3, stride=2, padding=(1, 2), bias=False),
        nn.BatchNorm2d(8, eps=1e-3, momentum=0.01),
        nn.ReLU6(inplace=True),
        conv(8, 8, (3, 1), groups=4, dilation=2, padding="same", padding_mode="reflect"),
        nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.AdaptiveAvgPool2d((1, None)),
        nn.Flatten(),
        nn.LazyLinear(5),
    ),
    "activations": lambda: nn.Sequential(
        *(nn.Hardswish(), nn.GELU(approximate="tanh"), nn.SiLU(), nn.LeakyReLU(0.2), nn.Softmax(1)),
        *(nn.PReLU(3), nn.Hardtanh(-0.5, 2.0), nn.ELU(0.7), nn.Softplus(beta=2), nn.Identity()),
        *(nn.Hardsigmoid(), nn.GroupNorm(3, 3), nn.InstanceNorm2d(3, affine=True)),
        *(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Dropout2d(0.3), nn.PixelShuffle(1)),
        *(nn.ZeroPad2d((1, 0, 2, 0)), nn.ConvTranspose2d(3, 2, 3, output_padding=1, stride=2)),
    ),
    "se-residual": lambda: Bare(
        residual,
        blocks=nn.ModuleList(
            [
                nn.Sequential(conv(3, 3, 1), SqueezeExcite(3)),
                Residual(conv(3, 3, 3, padding=1), nn.Tanh()),
            ]
        ),
        head=nn.Linear(1, 4, bias=False),
    ),
    "branches": lambda: Bare(
        two_branches,
        branches=nn.ModuleDict({"left": conv(3, 4, 1), "right-1": nn.Sequential(conv(3, 1, 1))}),
    ),
    "direct-tensors": lambda: Bare(direct, scale=nn.Parameter(draw(3, 1, 1)), shift=draw(3, 1, 1)),
    "rarer": lambda: Bare(rarer, a=nn.Linear(2, 2)),
    "reuse": lambda: Bare(reuse, conv=conv(3, 3, 3, padding=1)),
    "unused-part": lambda: Bare(lambda m, x: m.a(x), a=conv(3, 2, 1), never=nn.Linear(2, 2)),
    "layer-norm": lambda: Bare(
        lambda m, x: m.b(m.norm(x).flatten(1)),
        norm=nn.LayerNorm((12, 12), elementwise_affine=False),
        b=nn.Linear(432, 2),
    ),
    "shared-activation": lambda: chain_with_one_activation(nn.ReLU()),
    "shared-weights": lambda: Bare(
        repeated,
        blocks=nn.ModuleList([(block := nn.Sequential(conv(3, 3, 1), nn.Tanh())), block]),
        last=block,
    ),
    "recurrent": lambda: Bare(
        recurrent,
        a=nn.LSTM(36, 5, num_layers=2, batch_first=True, bidirectional=True),
        b=nn.GRU(10, 4, bias=False, batch_first=True),
        c=nn.RNN(4, 4, nonlinearity="relu", batch_first=True),
    ),
    "attention": lambda: Bare(
        lambda m, x: m.att(x.flatten(2), x.flatten(2), x.flatten(2))[0],
        att=nn.MultiheadAttention(144, 4, batch_first=True),
    ),
}


def trained(module):
    """In eval mode, with statistics and weights that are not those of a new module."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module(torch.randn(4, *SHAPE))
        for parameter in module.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return module.eval()


def executed(module, shape=SHAPE, **more):
    text = model_file(
        source_of(module),
        title="A test.",
        version="0",
        arch="a",
        input_shape=shape,
        n_outputs=4,
        labels=("a", "b"),
        inputs={"mean": [0.0], "std": [1.0], "scale": None},
    )
    space = {"__name__": "model", "__file__": str(more.get("file", "model.py"))}
    exec(compile(text, "model.py", "exec"), space)
    return space, text


@pytest.mark.parametrize("name", MODULES)
def test_the_source_does_what_the_module_does(name):
    module = trained(MODULES[name]())
    space, _ = executed(module)
    copy = space["Network"]().eval()
    assert list(copy.state_dict()) == list(module.state_dict())
    copy.load_state_dict(module.state_dict())
    x = torch.randn((5, *SHAPE), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.equal(copy(x), module(x))


@pytest.mark.parametrize("name", MODULES)
def test_the_source_can_be_trained_further_like_the_module(name):
    module = trained(MODULES[name]())
    copy = executed(module)[0]["Network"]()
    copy.load_state_dict(module.state_dict())
    copy.train()
    assert [p.requires_grad for p in copy.parameters()] == [
        p.requires_grad for p in module.parameters()
    ]
    kinds = (nn.BatchNorm2d, nn.Dropout2d)
    has = [
        [m.extra_repr() for m in net.modules() if isinstance(m, kinds)] for net in (module, copy)
    ]
    assert has[0] == has[1]


@pytest.mark.parametrize(
    ("name", "seed"), [("nb201", 0), ("nb201", 1), ("mobile", 0), ("mobile", 1), ("tabular", 0)]
)
def test_networks_of_the_spaces(name, seed):
    shape = (7,) if name == "tabular" else (3, 16, 16)
    settings = {"nb201": {"channels": 4, "n_cells": 1}}.get(name, {})
    space = ft.spaces.get(name, **settings).with_io(shape, 4)
    for row in space.sample(6, rng=seed):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module = space.build(row, shape, 4).eval()
        copy = executed(module, shape)[0]["Network"]().eval()
        copy.load_state_dict(module.state_dict())
        x = torch.randn((3, *shape), generator=torch.Generator().manual_seed(2))
        with torch.no_grad():
            assert torch.equal(copy(x), module(x)), space.to_str(row[None])[0]


def test_the_source_is_short_for_what_is_called_in_order():
    block = nn.Sequential(nn.Sequential(conv(3, 3, 1), nn.ReLU()), nn.Sequential(nn.Tanh()))
    _, text = executed(trained(Bare(lambda m, x: m.block(x) + x, block=block)))
    lines = text.partition("def forward")[2].partition("\n\n")[0].split("\n")[1:]
    assert [line.strip() for line in lines] == ["a = self.block(x)", "x = a + x", "return x"]


def data_dependent(m, x):
    return m.a(x) if x.sum() > 0 else -m.a(x)


REFUSED = {
    "control flow": lambda: Bare(data_dependent, a=conv(3, 2, 1)),
    "two outputs": lambda: Bare(lambda m, x: (x, x)),
    "a tensor made in forward": lambda: Bare(lambda m, x: x + torch.ones(3, 1, 1)),
    "a function of the user's": lambda: Bare(lambda m, x: torch.ones(1) + np.add(x, 1)),
    "weight norm": lambda: Bare(
        lambda m, x: m.a(x), a=nn.utils.parametrizations.weight_norm(conv(3, 2, 1))
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_written_down_is_refused(name):
    module = REFUSED[name]().eval()
    before = list(module.state_dict())
    with pytest.raises((NotTraceable, TypeError)):  # TypeError: a constructor that hides arguments
        executed(module)[0]["Network"]()
    assert list(module.state_dict()) == before


def test_the_reader_reads_all_types_of_safetensors(tmp_path):
    module = trained(Bare(lambda m, x: m.a(x), a=conv(3, 2, 1)))
    space, _ = executed(module)
    tensors = {
        "a": torch.arange(6, dtype=torch.float64).reshape(2, 3),
        "b": torch.tensor([True, False]),
        "c": torch.tensor(7),
        "d": torch.zeros(0, 3),
        "e": torch.randn(3).bfloat16(),
        "f": torch.arange(5, dtype=torch.uint8),
    }
    save_file(tensors, tmp_path / "a.safetensors", metadata={"format": "pt"})
    back = space["read_safetensors"](tmp_path / "a.safetensors")
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor)


def test_the_file_runs_alone(tmp_path):
    module = trained(MODULES["se-residual"]())
    _, text = executed(module)
    (tmp_path / "model.py").write_text(text)
    save_file(module.state_dict(), tmp_path / "model.safetensors")
    block = (
        "import sys\nfor name in ('foretell', 'safetensors', 'numpy'): sys.modules[name] = None\n"
    )
    code = (
        f"{block}import runpy; runpy.run_path({str(tmp_path / 'model.py')!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    n = sum(p.numel() for p in module.parameters())
    for words in (f"parameters    {n:,}", "(batch, 3, 12, 12)", "(batch, 4)", "a, b"):
        assert words in done.stdout


def test_constants_are_source():
    values = [1, -2.5, math.inf, True, None, "a'b", (1,), (1, (2, 3)), [1.0], torch.float16, 1e-5]
    for value in values:
        assert eval(standalone._value(value), {"torch": torch}) == value
    with pytest.raises(NotTraceable):
        standalone._value(object())
