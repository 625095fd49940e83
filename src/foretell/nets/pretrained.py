"""Networks of timm with weights that somebody else has trained, from this machine alone."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from foretell.errors import DataError, SettingError, need, unknown_name

PREFIX = "timm:"
SMALLEST = 64  # pixels a side to which smaller images are enlarged


class Pretrained(nn.Module):
    """f(resize(a x + b)): from inputs normalised as the data is to those that f was trained on.

    Shapes: x (batch, channels, height, width) to (batch, n_outputs).
    """

    a: Tensor
    b: Tensor

    def __init__(self, network: nn.Module, a: Tensor, b: Tensor, size: tuple[int, int]) -> None:
        super().__init__()
        self.network, self.size = network, size
        self.register_buffer("a", a)
        self.register_buffer("b", b)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        x = x * self.a + self.b
        if tuple(x.shape[-2:]) != self.size:
            x = functional.interpolate(
                x, self.size, mode="bilinear", align_corners=False, antialias=True
            )
        out: Tensor = self.network(x)
        return out


def parts(asked: str) -> tuple[str, Path | None]:
    """The name and the file of "timm:NAME" or "timm:NAME@FILE.safetensors".

    Raises: SettingError for anything else.

    >>> parts("timm:resnet18"), parts("timm:resnet18@w.safetensors")[1].name
    (('resnet18', None), 'w.safetensors')
    """
    name, at, file = str(asked).removeprefix(PREFIX).partition("@")
    sound = str(asked).startswith(PREFIX) and name and bool(at) == bool(file)
    if not sound or (file and not file.endswith(".safetensors")):
        raise SettingError(
            "pretrained", expected="timm:NAME, or timm:NAME@FILE.safetensors", got=repr(asked)
        )
    return name, Path(file).expanduser() if file else None


def build(
    asked: str,
    shape: Sequence[int],
    n_outputs: int,
    mean: Sequence[float],
    std: Sequence[float],
) -> Pretrained:
    """A network of timm with its trained weights and a head of its own.

    Weights come from a file, or from the cache of earlier downloads; nothing is downloaded.

    Args:
        asked: see `parts`.
        shape: of one input, (channels, height, width); of few pixels they are enlarged.
        n_outputs: of the head, which is new.
        mean: that inputs were normalised by, of each channel, of values from 0 to 1.
        std: likewise.

    Raises:
        SettingError: the name or the shape is not valid.
        DataError: there are no such weights on this machine.
        MissingExtraError: timm is not installed.
    """
    name, file = parts(asked)
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise SettingError("pretrained", expected="data of images", got=f"inputs {tuple(shape)}")
    try:
        import timm
    except ImportError:
        raise need("timm", "timm", "a pretrained network") from None
    if not timm.is_model(name):
        raise unknown_name(
            "network of timm", name, timm.list_models(f"*{name[:4]}*") or ["resnet18"]
        )
    more: dict[str, Any] = {"pretrained_cfg_overlay": {"file": str(file)}} if file else {}
    if file and not file.is_file():
        raise DataError(f"no file {str(file)!r}", expected="the weights of a network of timm")
    try:
        with _offline(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)  # of the new head
            network: Any = timm.create_model(
                name, pretrained=True, num_classes=n_outputs, in_chans=shape[0], **more
            )
    except Exception as error:  # whatever timm and its hub raise
        raise DataError(
            f"weights of {name!r} cannot be had on this machine",
            got=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
            hint=f"give a file of them, {PREFIX}{name}@FILE.safetensors, or download them once "
            f"with timm.create_model({name!r}, pretrained=True)",
        ) from error
    known = network.pretrained_cfg
    if known.get("fixed_input_size"):
        size = tuple(known["input_size"][-2:])
    else:
        grow = max(1.0, SMALLEST / min(shape[1:]))
        size = (round(shape[1] * grow), round(shape[2] * grow))
    theirs = [torch.tensor(known[key])[: shape[0]] for key in ("mean", "std")]
    ours = [torch.tensor(list(one), dtype=torch.float32) for one in (mean, std)]
    a = (ours[1] / theirs[1]).reshape(1, -1, 1, 1)
    b = ((ours[0] - theirs[0]) / theirs[1]).reshape(1, -1, 1, 1)
    return Pretrained(network, a, b, size)


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """The hub's client asks nobody."""
    name = "HF_HUB_OFFLINE"
    before = os.environ.get(name)
    os.environ[name] = "1"
    hub: Any = None
    with contextlib.suppress(ImportError):
        hub = importlib.import_module("huggingface_hub.constants")
    was = getattr(hub, name, None)  # it reads the environment once
    if hub is not None:
        setattr(hub, name, True)
    try:
        yield
    finally:
        if hub is not None:
            setattr(hub, name, was)
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
