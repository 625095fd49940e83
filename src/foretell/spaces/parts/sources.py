"""The source of a user's space: the files that it is made of, and whether they are enough."""

from __future__ import annotations

import ast
import contextlib
import json
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from foretell.spaces.base import Rows, Space

CODE = "code"  # the folder of what the space's file imports
MAIN = "space.py"  # that file, beside it
_PATIENCE_S = 120.0  # for a process that tries them out
_GIVEN = ("foretell", "torch", "numpy")  # which whoever has a network of ours has


@dataclass(frozen=True)
class Sources:
    """The files of a space.

    Args:
        made: how the module makes it, `Class(...)` or a name.
        module: its dotted name, where it is one of a package; "" for a file by itself.
        main: that file.
        files: other files by where they belong below `CODE`.
        needs: names of installed packages that they import.
    """

    made: str
    module: str
    main: Path
    files: dict[str, Path] = field(default_factory=dict)
    needs: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Names that they are imported by, without what is inside of packages."""
        return sorted({name.partition("/")[0].partition(".")[0] for name in self.files})

    def copy(self, folder: Path) -> list[str]:
        """Copy them into a folder; names of the copies."""
        places = {f"{CODE}/{name}": path for name, path in self.files.items()}
        if not self.module:
            places[MAIN] = self.main
        for name, path in places.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)
        return sorted(places)


def sources(space: Space) -> Sources | None:
    """The files that a space is made of: that of its class or `build`, and all of the user's that
    these import, inside of functions too. None where they are in no file, as in a notebook.

    Standard library and installed packages are not among them, nor is what is imported by a name
    that is made while it runs.
    """
    owner = space._build or type(space)
    module = sys.modules.get(owner.__module__)
    file = getattr(module, "__file__", None)
    if module is None or not file or (made := _made(module, space)) is None:
        return None
    main = Path(file).resolve()
    name = "" if _by_path(module) else module.__name__
    path = [str(main.parent), *sys.path]
    files: dict[str, Path] = {}
    needs: set[str] = set()
    todo = [name] if name else list(_imports(main, ""))
    seen: set[str] = set()
    while todo:
        for one, spec in _along(todo.pop(), path):
            if one in seen or not spec.has_location or spec.origin is None:
                continue
            seen.add(one)
            if not _is_own(place := Path(spec.origin)):
                needs |= {one.partition(".")[0]}
                break
            package = spec.submodule_search_locations is not None
            where = one.replace(".", "/")
            files[f"{where}/{place.name}" if package else f"{where}{place.suffix}"] = place
            todo += _imports(place, one if package else one.rpartition(".")[0])
    needs -= {*_GIVEN, *sys.stdlib_module_names}
    return Sources(made, name, main, files, tuple(sorted(needs)))


def lacking(space: Space, x: Rows) -> str:
    """Why the network of a row cannot be built and run from the space's files alone; "" if it can.

    It is tried in a process that sees nothing of this one but these files.
    """
    found = sources(space)
    if found is None:
        return "the code of the space is in no file, so it cannot go along"
    body = "\n".join(f"    {line}".rstrip() for line in builder(found).splitlines())
    with tempfile.TemporaryDirectory(prefix="foretell-") as name:
        text = _TRIAL.format(
            body=body, row=np.asarray(x).tolist(), shape=tuple(space.input_shape),
            outputs=space.n_outputs, root=str(Path(__file__).parents[3]), folder=name,
        )  # fmt: skip
        found.copy(Path(name))
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-B", "-c", text], cwd=name, stdin=subprocess.DEVNULL,
                capture_output=True, timeout=_PATIENCE_S, check=False,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError):
            return ""  # nothing can be said
    if not done.returncode:
        return ""
    said = done.stderr.decode(errors="replace").split("\n")
    return next(
        (" ".join(line.split())[:300] for line in reversed(said) if line.strip()), "it died"
    )


def builder(found: Sources) -> str:
    """Statements that build a network from copies of the files, and return it; to stand in a
    function, with `FOLDER` (a `Path`), `ROW`, `INPUT_SHAPE` and `N_OUTPUTS` at hand.

    Modules that have the names of our files are put aside meanwhile.
    """
    imports = ["import importlib"]
    if found.module:
        build = [f"module = importlib.import_module({found.module!r})"]
    else:
        imports = ["import importlib.util"]
        build = [
            f'spec = importlib.util.spec_from_file_location("space", FOLDER / "{MAIN}")',
            "module = importlib.util.module_from_spec(spec)",
            "spec.loader.exec_module(module)",
        ]
    build += [
        f"space = module.{found.made}.with_io(INPUT_SHAPE, N_OUTPUTS)",
        "return space.build(np.array(ROW), INPUT_SHAPE, N_OUTPUTS)",
    ]
    if not found.files:
        return "\n".join([*imports, "", *build])
    aside = [
        f'names, code = {found.names!r}, str(FOLDER / "{CODE}")',
        'loaded = [name for name in sys.modules if name.partition(".")[0] in names]',
        "others = {name: sys.modules.pop(name) for name in loaded}",
        "sys.path.insert(0, code)",
        "try:",
        *(f"    {line}" for line in build),
        "finally:",
        "    sys.path.remove(code)",
        "    sys.path.append(code)",
        "    if others:",
        '        for name in [name for name in sys.modules if name.partition(".")[0] in names]:',
        "            del sys.modules[name]",
        "        sys.modules.update(others)",
    ]
    return "\n".join([*imports, "import sys", "", *aside])


def plain_settings(space: Space) -> dict[str, Any]:
    """The settings that a space was made with, as far as they are plain values."""
    settings = {}
    for name, value in space.settings.items():
        with contextlib.suppress(TypeError, ValueError):
            settings[name] = json.loads(json.dumps(value))
    return settings


_TRIAL = """
import sys
from pathlib import Path

sys.path.append({root!r})
import numpy as np
import torch

FOLDER, ROW, INPUT_SHAPE, N_OUTPUTS = Path({folder!r}), {row!r}, {shape!r}, {outputs!r}


def network():
{body}


network().eval()(torch.zeros(2, *INPUT_SHAPE))
"""


def _made(module: ModuleType, space: Space) -> str | None:
    """How a module makes a space: `Class(...)`, or the name of the space itself."""
    kind: type[Space] = type(space)
    if space._build is None and getattr(module, kind.__name__, None) is kind:
        return f"{kind.__name__}(**{plain_settings(space)!r})"
    for name, value in vars(module).items():
        same = isinstance(value, Space) and type(value) is kind and value.choices == space.choices
        if same and value._build is space._build:
            return str(name)
    return None


def _by_path(module: ModuleType) -> bool:
    """Whether a module was made from its file, and cannot be imported by its name."""
    name, spec = module.__name__, module.__spec__
    if name == "__main__" or spec is None:
        return True
    found = PathFinder.find_spec(name) if "." not in name else spec
    return found is None or found.origin != spec.origin


def _imports(path: Path, package: str) -> Iterator[str]:
    """What a file imports, by full names; of `from a import b` it may be `a.b`."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):  # compiled, or not there
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1]
            words = (base if node.level else []) + (node.module or "").split(".")
            from_ = ".".join(filter(None, words))
            yield from_
            yield from (f"{from_}.{one.name}" for one in node.names if one.name != "*")


def _along(name: str, path: list[str]) -> Iterator[tuple[str, ModuleSpec]]:
    """Modules that importing a name runs, outermost first, as far as there are any."""
    words = name.split(".")
    for i in range(1, len(words) + 1):
        found = _spec(one := ".".join(words[:i]), path)
        if found is None:
            return
        yield one, found
        path = list(found.submodule_search_locations or [])


def _spec(name: str, path: Sequence[str]) -> ModuleSpec | None:
    """What a name is imported from; nothing is run."""
    loaded = getattr(sys.modules.get(name), "__spec__", None)
    if isinstance(loaded, ModuleSpec):
        return loaded
    with contextlib.suppress(Exception):  # of other people's finders
        return PathFinder.find_spec(name, path)
    return None


def _is_own(path: Path) -> bool:
    """Whether a file is neither of Python nor of an installed package."""
    path = path.resolve()
    return not any(path.is_relative_to(one) for one in _installed())


@cache
def _installed() -> tuple[Path, ...]:
    known = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    known += [*site.getsitepackages(), site.getusersitepackages(), str(Path(__file__).parents[2])]
    return tuple(Path(one).resolve() for one in known if one)
