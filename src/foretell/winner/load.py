"""A `best/` folder, read: its network and what its config.json says."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from foretell import typed
from foretell._files import digest
from foretell.errors import RunError
from foretell.spaces.parts.load import named
from foretell.winner.parts.whole import Whole

FORMAT = 1
CONFIG = "config.json"
TAKES = "data"  # of config.json: the network takes what the data had; without it, normalised inputs


def find(folder: str | Path) -> Path:
    """`best/` of a run's folder; any other folder is taken for a `best/` itself."""
    folder = Path(folder)
    inside = not (folder / "config.json").exists() and (folder / "best").is_dir()
    return folder / "best" if inside else folder


def load(folder: str | Path, *, code: bool = True) -> nn.Module:
    """The trained network of a `best/` folder, in eval mode on the CPU.

    It is made by the folder's own model.py, which runs as Python code: load what you trust, or
    without `code`.

    Args:
        folder: the `best/` of a run, or the run's own folder.
        code: whether model.py may run; False builds the network of a space of the catalog here,
            and refuses all others.

    Returns: a module that takes inputs as the data had them (batch, *input_shape), numbers or
        bytes, and gives (batch, n_outputs): class scores, or values in the target's own unit. A
        folder whose config.json lacks "takes" gives the network alone, as `core` does.

    Raises:
        RunError: the folder is not a `best/`, or its network cannot be made.
    """
    if code:
        return _made(folder, "load")
    config, network = config_of(find(folder)), core(folder, code=False)
    if config.get("takes") != TAKES:
        return network
    return Whole.of(network, config["input"], config["input_shape"]).eval()


def core(folder: str | Path, *, code: bool = True) -> nn.Module:
    """The network alone: from normalised inputs to class scores or standardised targets.

    Raises: as `load`.
    """
    return _made(folder, "core") if code else _built(find(folder))


def _made(folder: str | Path, what: str) -> nn.Module:
    folder = find(folder)
    path = folder / "model.py"
    if not path.is_file():
        raise RunError(
            f"no trained network in {folder}",
            expected="a folder with model.py, model.safetensors and config.json",
            hint="give the best/ folder of a run that has ended",
        )
    if (folder / CONFIG).exists():  # else it is being written
        sound(folder, config_of(folder))
    spec = importlib.util.spec_from_file_location(f"_foretell_model_{id(path)}", path)
    assert spec is not None  # the file exists and ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
        with torch.random.fork_rng(devices=[]):  # initial weights, at once overwritten
            network: nn.Module = getattr(module, what, module.load)(folder)
    except Exception as error:  # whatever the file does
        raise RunError(
            f"{path} does not give its network: {type(error).__name__}: {error}",
            hint="run the search's command again with best/ removed, to have it written anew",
        ) from error
    finally:
        sys.dont_write_bytecode = writes
    return network


def _built(folder: Path) -> nn.Module:
    """The network of a space of the catalog, by its row; nothing of the folder runs."""
    config = config_of(folder)
    sound(folder, config, "model.safetensors")
    try:
        asked = config["space"]
        space = named(asked["name"], **_hashable(asked["settings"]))
        space = space.with_io(config["input_shape"], config["n_outputs"])
        (row,) = space.check(np.asarray([config["row"]]))
        with torch.random.fork_rng(devices=[]):  # initial weights, at once overwritten
            module: nn.Module = space.build(row, space.input_shape, space.n_outputs)
        module.load_state_dict(load_file(folder / "model.safetensors"))
    except Exception as error:  # whatever the files say
        raise RunError(
            f"{folder} does not give its network without running its model.py",
            got=f"{type(error).__name__}: {error}".partition(". Next: ")[0][:300],
            hint="load it without --no-code (in Python: with code=True), if you trust it",
        ) from error
    return module.eval()


def _hashable(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as spaces take them, which JSON has as lists."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}


def sound(folder: Path, config: Mapping[str, Any], *names: str) -> None:
    """Compare files of a `best/` with what config.json says of them; all, or those named.

    Raises: RunError naming the one that was changed since it was written.
    """
    known = config.get("sha256", {})  # older ones do not say it
    for name, was in known.items() if isinstance(known, dict) else ():
        if names and name not in (*names, CONFIG):
            continue
        now = own_digest(config) if name == CONFIG else digest(folder / name)
        if now != was:
            raise RunError(
                f"{folder / name} is not the file that was written",
                expected=f"SHA-256 {str(was)[:16]}...",
                got=f"{now[:16]}..." if now else "no file",
                hint="run the search's command again, which writes best/ anew; if the change is "
                f'yours, take {name!r} out of "sha256" in config.json',
            )


def own_digest(config: Mapping[str, Any]) -> str:
    """SHA-256 of what a config.json says, but for the digests that stand in it."""
    said = {name: value for name, value in config.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def config_of(folder: str | Path) -> dict[str, Any]:
    """What config.json of a `best/` folder says.

    Raises: RunError when there is none that can be read.
    """
    path = Path(folder) / CONFIG
    try:
        if not path.is_file():  # a pipe would never end
            raise FileNotFoundError("no such file")
        config = typed.load(path.read_text(encoding="utf-8"))
        known = config["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"cannot read {path}: {type(error).__name__}: {error}",
            expected="the best/ folder of a run that has ended",
            hint="look for `best/` in the folder of the run",
        ) from error
    if not known:
        raise RunError(f"format of {path}", expected=FORMAT, got=str(config["format"])[:80])
    _check(typed.Reader(path).record(_Config, config), path)
    return dict(config)


@dataclass(frozen=True)
class _Target:
    name: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclass(frozen=True)
class _Column:
    name: str
    fill: float | None = None
    values: tuple[str, ...] | None = None
    style: tuple[str, str, str, str] | None = None


@dataclass(frozen=True)
class _Inputs:
    """`Data.input_spec()`."""

    shape: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    target: _Target = field(default_factory=_Target)
    labels: tuple[str, ...] = ()
    scale: float | None = None
    white: float | None = None  # of older ones; now `levels`
    levels: tuple[float, float] | None = None
    bytes: bool = False
    layout: str = "auto"
    kind: str = ""
    columns: tuple[_Column, ...] | None = None


@dataclass(frozen=True)
class _Space:
    name: str = ""
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Config:
    """What is used of config.json."""

    foretell: str
    arch: str
    row: tuple[int, ...]
    task: Literal["classification", "regression", "multilabel"]
    labels: tuple[str, ...]
    input_shape: tuple[int, ...]
    n_outputs: int
    input: _Inputs
    space: _Space = field(default_factory=_Space)
    takes: str = ""
    sha256: dict[str, str] = field(default_factory=dict)


def _check(config: _Config, path: Path) -> None:
    """Raises: RunError where parts of a config.json do not go together."""
    shape, inputs = config.input_shape, config.input
    targets = () if config.labels else (inputs.target.mean, inputs.target.std)
    same = (
        shape and min(shape) > 0 and inputs.shape in (shape, ())
        and len(inputs.mean) == len(inputs.std) and len(inputs.mean) in (shape[0], 1)
        and all(inputs.std)
        and (not config.labels or len(config.labels) == config.n_outputs)
        and all(len(one) == config.n_outputs for one in targets)
        and (config.task == "regression") == (not config.labels)
        and all((one.fill is None) != (one.values is None) for one in inputs.columns or ())
    )  # fmt: skip
    if not same:
        raise RunError(
            f"{path} is damaged",
            expected="shapes, labels and statistics of inputs that go together",
            hint="run the search's command again with best/ removed, to have it written anew",
        )
