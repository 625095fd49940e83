"""`best/`: the trained winner, which leaves the run: weights, config, source, model card."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from foretell._files import digest, sync
from foretell._version import __version__
from foretell.errors import RunError
from foretell.spaces.base import Space
from foretell.spaces.parts.sources import builder, plain_settings, sources
from foretell.spaces.parts.sources import lacking as lacks
from foretell.winner.base import Winner
from foretell.winner.card import card
from foretell.winner.load import CONFIG, FORMAT, TAKES, config_of, core, own_digest, sound
from foretell.winner.parts import standalone
from foretell.winner.parts.model_file import model_file

FILES = ("model.safetensors", "config.json", "model.py", "README.md")
_PLAIN = {"mean": [0.0], "std": [1.0]}  # inputs that need no change
TOLERANCE = 1e-6  # between outputs of the trained network and of the one read back


def whole(folder: Path) -> bool:
    """Whether a `best/` is there, with the weights and the source that were written."""
    try:
        sound(folder, config_of(folder))
    except RunError:
        return False
    return all((folder / name).is_file() for name in FILES)


def write(folder: Path, winner: Winner, check: Callable[[nn.Module], None]) -> None:
    """Write `best/`, read it back, compare, and only then put it in its place.

    Args:
        folder: `best/` of the run; replaced as a whole.
        winner: the network.
        check: is given the network as read back; raises if it is not as good as the trained one.

    Raises:
        RunError: what was read back is not the network that was trained.
    """
    part = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        why, loads = "", True
        try:
            _alone(part, winner)
        except (standalone.NotTraceable, RunError) as error:
            why = str(error)
            loads = _borrow(part, winner)
            if loads and (gap := lacks(winner.space, winner.x)):
                why, loads = f"{gap} (needed, because {why})", False
        digests = {
            path.relative_to(part).as_posix(): digest(path)
            for path in sorted(part.rglob("*"))
            if path.is_file()
        }
        said = json.loads(json.dumps(_config(winner, why)))
        digests[CONFIG] = own_digest(said)
        config = json.dumps({**said, "sha256": digests}, indent=2)
        (part / "config.json").write_text(config + "\n", encoding="utf-8")
        (part / "README.md").write_text(card(winner, why), encoding="utf-8")
        if loads:
            loaded = core(part)
            same_outputs(winner.module, loaded, winner.space.input_shape)
            check(loaded)
        for path in [*part.rglob("*"), part]:
            sync(path)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(part, folder)
        sync(folder.parent)
    except OSError as error:
        raise RunError(
            f"cannot write {folder}: {error.strerror or error}",
            hint="make room or give write access, then run the same command again",
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _alone(folder: Path, winner: Winner) -> None:
    """Write the weights, and a model.py that needs torch alone; read both back and compare.

    Raises: NotTraceable or RunError where such a file cannot be had.
    """
    state = winner.module.state_dict()  # cloned: the format has no tensors that share memory
    tensors = {name: tensor.clone().contiguous() for name, tensor in state.items()}
    data = save(tensors, metadata={"format": "pt"})
    (folder / "model.safetensors").write_bytes(data)
    source = standalone.source_of(winner.module)
    (folder / "model.py").write_text(_model_py(source, winner), encoding="utf-8")
    same_outputs(winner.module, core(folder), winner.space.input_shape)


def same_outputs(one: nn.Module, other: nn.Module, input_shape: tuple[int, ...]) -> None:
    """Compare two networks on random inputs.

    Raises: RunError when outputs differ by more than 1e-6 (relative to values above 1).
    """
    inputs = torch.randn((4, *input_shape), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        a = one(inputs)
        try:
            b = other(inputs)
        except Exception as error:
            raise RunError(
                f"the network read back does not run: {type(error).__name__}: {str(error)[:200]}"
            ) from error
    if a.shape != b.shape:
        raise RunError("the network read back", expected=tuple(a.shape), got=tuple(b.shape))
    scale = max(1.0, float(a.abs().max()))
    difference = float((a - b).abs().max())
    if not difference <= TOLERANCE * scale:
        raise RunError(
            "the network read back gives other outputs",
            expected=f"a difference of at most {TOLERANCE:g}",
            got=f"{difference:.3g}",
        )


def _model_py(source: str, winner: Winner) -> str:
    return model_file(
        source,
        title=f"The best network of a search of {winner.space.name}.",
        version=__version__,
        arch=winner.space.to_str(winner.x[None])[0],
        input_shape=winner.space.input_shape,
        n_outputs=winner.space.n_outputs,
        labels=winner.labels,
        inputs=winner.inputs,
    )


def _config(winner: Winner, why: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "foretell": __version__,
        "standalone": not why,
        **({"not_standalone_because": why} if why else {}),
        "arch": winner.space.to_str(winner.x[None])[0],
        "row": np.asarray(winner.x).tolist(),
        "space": {"name": winner.space.name, "settings": plain_settings(winner.space)},
        "task": winner.task,
        "labels": list(winner.labels),
        "input_shape": list(winner.space.input_shape),
        "n_outputs": winner.space.n_outputs,
        "input": dict(winner.inputs),
        "takes": TAKES,
        "objective": winner.objective,
        "metrics": dict(winner.metrics),
        **winner.facts,
    }


# -- a network that cannot be written as statements: its space builds it ---------------------------

_BORROWED = '''
def Network() -> nn.Module:
    """The network as its space builds it; this needs foretell{also}."""
{body}

'''


def _borrow(part: Path, winner: Winner) -> bool:
    """Write a model.py that asks the space; the files of a user's space are copied beside it.

    Returns: whether it can; a space that was typed into a notebook has no file to copy.
    """
    space = winner.space
    found = sources(space)
    if space.__class__.__module__.startswith("foretell.") and space._build is None:
        body = (
            f"from {type(space).__module__} import {type(space).__name__}\n\n"
            f"space = {type(space).__name__}(**{plain_settings(space)!r})\n"
            "space = space.with_io(INPUT_SHAPE, N_OUTPUTS)\n"
            "return space.build(np.array(ROW), INPUT_SHAPE, N_OUTPUTS)"
        )
        also = ""
    elif found is not None:
        body, also = builder(found), " and " + ", ".join([*found.copy(part), *found.needs])
    else:
        also = " and a space that is in no file"
        body = (
            "raise RuntimeError(\n"
            '    "the source of this network was not in a file when it was saved: build it "\n'
            '    "yourself and load model.safetensors into it"\n)'
        )
    source = _BORROWED.format(also=also, body=textwrap.indent(body, "    "))
    text = _model_py(source, winner).replace(
        "needs torch and nothing else", "needs torch and foretell"
    )
    text = text.replace("\nimport torch\n", "\nimport numpy as np\nimport torch\n", 1)
    row = f"ROW = {np.asarray(winner.x).tolist()}\nFOLDER = Path(__file__).parent\n"
    text = text.replace("\nINPUT_SHAPE = ", f"\n{row}INPUT_SHAPE = ", 1)
    (part / "model.py").write_text(text, encoding="utf-8")
    return found is not None or not also


def lacking(space: Space) -> str:
    """What will be missing in `best/`, in words; "" where its network can be loaded from it alone.

    A network is built, and where it cannot be written as statements, its space's files are tried.
    """
    if type(space).__module__.startswith("foretell.") and space._build is None:
        return ""
    (x,) = space.sample(1, 0)
    try:
        with torch.random.fork_rng(devices=[]):
            module = space.build(x, space.input_shape, space.n_outputs).eval()
        trial = Winner(space, x, module, "classification", (), _PLAIN, "", {}, {})
        with tempfile.TemporaryDirectory(prefix="foretell-") as name:
            _alone(Path(name), trial)
    except (standalone.NotTraceable, RunError) as error:
        why = lacks(space, x)
        return why and f"{why} (needed, because {error})"
    except Exception:  # whatever is wrong with it, its training will say so
        return ""
    return ""
