"""The order of the rooms: imports go down `ORDER`, no circle, no stranger in a room of methods.

Read from the source, nothing is imported. Every import statement counts: at the top of a file, in
a function, under `TYPE_CHECKING` (who names a type knows its room), `import_module("foretell.x")`.
Two things do not: the strings of the catalog, which is how a room lists what stands above it, and
the face of a room, an `__init__` with `__getattr__` that hands names on when they are asked for.
Who imports such a name imports the file it comes from, and is counted so.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from foretell import _catalog

SRC = Path(__file__).resolve().parents[1] / "src" / "foretell"

# From the ground up: a room may import what stands before it, and itself.
ORDER = (
    *("_version", "errors", "_rng", "_threads", "_console", "_catalog", "_files", "_given"),
    *("metrics", "pareto", "expected", "acquisition", "frame", "typed"),
    *("training", "graphs", "nets", "spaces"),
    *("encodings", "evidence", "predictors", "transfer", "costs"),
    *("tables", "evaluators", "search", "strategies", "supernets"),
    *("winner", "trackers", "integrations", "runs", "studies", "report"),
    *("nas", "testing", "_doctor", "cli", "__main__", "__init__"),
)

# Files of more than 400 lines, for a reason that docs/decisions/0008-order-of-rooms.md gives.
LONG = {"spaces.base"}

Imports = Mapping[str, set[str]]  # file -> files, as dotted names below foretell


@pytest.fixture(scope="module")
def graph() -> Imports:
    return imports(SRC)


def test_no_circle_of_files(graph: Imports) -> None:
    assert circles(graph) == set()


def test_imports_go_down(graph: Imports) -> None:
    assert upward(graph, ORDER) == set()


def test_no_circle_of_rooms(graph: Imports) -> None:
    assert circles(rooms(graph)) == set()


def test_the_order_names_the_rooms_that_are_there() -> None:
    assert sorted(there(SRC)) == sorted(ORDER)


def test_a_room_of_methods_has_methods_and_parts() -> None:
    targets = {row.target.partition(":")[0] for rows in _catalog.KINDS.values() for row in rows}
    assert strangers(SRC, targets) == set()


def test_a_room_says_what_is_in_it() -> None:
    assert {p.parent.name for p in SRC.glob("*/__init__.py") if not said(p)} == set()


def test_contributing_names_the_rooms_in_their_order() -> None:
    lines = (SRC.parents[1] / "CONTRIBUTING.md").read_text().splitlines()
    first = [line.split("|")[1] for line in lines if line.startswith("| `")]
    named = [name.strip(" `/") for cell in first for name in cell.split(",")]
    files = [name.removesuffix(".py") for name in named]
    assert files == [room for room in ORDER if room not in ("__main__", "__init__")]


def test_names_in_words_are_there() -> None:
    pages = [*SRC.rglob("*.py"), *SRC.parents[1].glob("docs/*.md")]
    assert {name for path in pages for name in stale(SRC, path)} == set()


def test_a_file_is_read_in_one_go() -> None:
    assert longer(SRC, 400) == LONG


# -- what it must catch -------------------------------------------------------------------------

HOUSE = {
    "__init__.py": "",
    "low/__init__.py": "",
    "low/a.py": "",
    "low/b.py": "from foretell.low.a import x",
    "high/__init__.py": "",
    "high/base.py": "import foretell.low.b",
    "high/method.py": "from foretell.high.base import Base",
    "high/parts/__init__.py": "",
    "high/parts/layer.py": "",
}


def house(folder: Path, changed: Mapping[str, str] | None = None) -> Path:
    for name, text in {**HOUSE, **(changed or {})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_sound_house_passes(tmp_path: Path) -> None:
    graph = imports(house(tmp_path))
    assert graph["low.b"] == {"low.a"}
    assert graph["high.base"] == {"low.b"}
    assert circles(graph) == circles(rooms(graph)) == set()
    assert upward(graph, ("low", "high", "__init__")) == set()
    assert strangers(tmp_path, {"foretell.high.method"}) == set()
    assert sorted(there(tmp_path)) == ["__init__", "high", "low"]


@pytest.mark.parametrize(
    "line",
    [
        "from foretell.low.b import y",
        "from foretell.low import b",
        "import foretell.low.b as b",
        "def f():\n    from foretell.low.b import y",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from foretell.low.b import y",
        "import importlib\nimportlib.import_module('foretell.low.b')",
    ],
)
def test_a_circle_of_files_is_caught(tmp_path: Path, line: str) -> None:
    assert circles(imports(house(tmp_path, {"low/a.py": line}))) == {frozenset({"low.a", "low.b"})}


def test_an_import_upwards_and_a_circle_of_rooms_are_caught(tmp_path: Path) -> None:
    graph = imports(house(tmp_path, {"low/a.py": "from foretell.high.parts import layer"}))
    assert upward(graph, ("low", "high", "__init__")) == {("low.a", "high.parts.layer")}
    assert circles(graph) == set()
    assert circles(rooms(graph)) == {frozenset({"low", "high"})}


def test_a_name_of_a_face_is_an_import_of_its_file(tmp_path: Path) -> None:
    face = (
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from foretell.high.method import Method as Method\n"
        "def __getattr__(name):\n    import foretell.high.method as m\n    return m.Method\n"
    )
    graph = imports(
        house(
            tmp_path,
            {"high/__init__.py": face, "low/a.py": "from foretell.high import Method"},
        )
    )
    assert graph["high"] == set()
    assert graph["low.a"] == {"high.method"}


def test_a_stranger_is_caught(tmp_path: Path) -> None:
    house(tmp_path, {"high/helper.py": "", "high/_hidden.py": "", "high/more/deep.py": ""})
    found = strangers(tmp_path, {"foretell.high.method"})
    assert found == {"high.helper", "high._hidden", "high.more"}


def test_a_room_out_of_the_order_is_caught(tmp_path: Path) -> None:
    house(tmp_path, {"cellar/a.py": ""})
    assert "cellar" in there(tmp_path)
    with pytest.raises(KeyError, match="cellar"):
        upward({"cellar.a": {"low.a"}}, ("low", "high"))


@pytest.mark.parametrize("text", ["", '"""A room."""', '"""A room."""\n# of which more\n'])
def test_a_silent_room_is_caught(tmp_path: Path, text: str) -> None:
    assert not said(house(tmp_path, {"high/__init__.py": text}) / "high" / "__init__.py")


def test_a_stale_name_is_caught(tmp_path: Path) -> None:
    text = """'As `foretell.low.a.f`, `parts.layer.Layer` and `foretell.low` say; `parts.gone.f`,
    `foretell.low.a.g` and `_hidden.f` do not.'"""
    house(tmp_path, {"low/a.py": "def f(): ...", "high/parts/layer.py": "class Layer: ..."})
    (tmp_path / "high" / "method.py").write_text(text)
    found = stale(tmp_path, tmp_path / "high" / "method.py")
    assert found == {"parts.gone.f", "foretell.low.a.g", "_hidden.f"}


def test_a_long_file_is_caught(tmp_path: Path) -> None:
    house(tmp_path, {"low/a.py": "x = 1\n" * 401, "low/b.py": "x = 1\n" * 400})
    assert longer(tmp_path, 400) == {"low.a"}


# -- how it is read -----------------------------------------------------------------------------


def there(src: Path) -> list[str]:
    """Files and folders of the house that hold code."""
    folders = [path.name for path in src.iterdir() if any(path.rglob("*.py"))]
    return folders + [path.stem for path in src.glob("*.py")]


def imports(src: Path) -> Imports:
    """File -> files that it imports; a package is its `__init__`, the root is `__init__`."""
    trees = {_name(src, path): ast.parse(path.read_text()) for path in src.rglob("*.py")}
    faces = {
        name: {alias: source for module in _typing(tree) for alias, source in _names(module)}
        for name, tree in trees.items()
        if any(isinstance(n, ast.FunctionDef) and n.name == "__getattr__" for n in tree.body)
    }
    graph: dict[str, set[str]] = {}
    for name, tree in trees.items():
        found = {_file(target, trees, faces) for target in _targets(tree, name in faces)}
        graph[name] = {file for file in found if file not in (None, name)}
    return graph


def circles(graph: Imports) -> set[frozenset[str]]:
    """Sets of more than one node that all reach each other."""
    reach = {a: _reached(graph, a) for a in graph}
    same = {frozenset({b for b in reach[a] if a in reach.get(b, ())} | {a}) for a in graph}
    return {circle for circle in same if len(circle) > 1}


def rooms(graph: Imports) -> Imports:
    """The imports between folders (and files at the top)."""
    merged: dict[str, set[str]] = {}
    for a, bs in graph.items():
        merged.setdefault(_room(a), set()).update(_room(b) for b in bs if _room(b) != _room(a))
    return merged


def upward(graph: Imports, order: tuple[str, ...]) -> set[tuple[str, str]]:
    """Imports of a room that stands higher in the order."""
    floor = {room: i for i, room in enumerate(order)}
    pairs = [(a, b) for a, bs in graph.items() for b in bs]
    return {(a, b) for a, b in pairs if floor[_room(b)] > floor[_room(a)]}


def strangers(src: Path, targets: set[str]) -> set[str]:
    """What is no method, contract (`base`) or `parts/` in a folder with methods of the catalog."""
    methods = {target.removeprefix("foretell.") for target in targets}
    folders = {src.joinpath(*method.split(".")[:-1]) for method in methods}
    files = {_name(src, path) for folder in folders for path in folder.glob("*.py")}
    known = {_name(src, f / name) for f in folders for name in ("__init__.py", "base.py")}
    inner = {path for folder in folders for path in folder.glob("*/") if any(path.rglob("*.py"))}
    odd = {path for path in inner - folders if path.name != "parts"}
    return (files - known - methods) | {_name(src, path / "__init__.py") for path in odd}


def stale(src: Path, path: Path) -> set[str]:
    """Names in backticks that say a file of this house or of this room, and are not there."""
    named = set(re.findall(r"`((?:foretell|parts|graphs|_[a-z]\w*)\.[\w.]+)`", path.read_text()))
    below = {"parts": path.parent if (path.parent / "parts").is_dir() else path.parents[1]}
    return {name for name in named if not _is_there(below.get(name.split(".")[0], src), name)}


def _is_there(folder: Path, name: str) -> bool:
    """Whether a dotted name is a file, a folder, or what a file there defines or hands on."""
    at, words = folder, name.removeprefix("foretell.").split(".")
    while words and (at / words[0]).is_dir():
        at /= words.pop(0)
    if not words:
        return True
    file = at / f"{words[0]}.py"
    inside = words[1:] if file.is_file() else words
    text = (file if file.is_file() else at / "__init__.py").read_text()
    return not inside or re.search(rf"\b{inside[0]}\b", text) is not None


def longer(src: Path, most: int) -> set[str]:
    """Files of more lines than that."""
    files = {_name(src, path): path.read_text().count("\n") for path in src.rglob("*.py")}
    return {name for name, lines in files.items() if lines > most}


def said(init: Path) -> bool:
    """Whether a room's docstring is a paragraph: more than its one line."""
    text = ast.get_docstring(ast.parse(init.read_text())) or ""
    _, _, rest = text.partition("\n\n")
    return len(rest.split()) >= 10


def _name(src: Path, path: Path) -> str:
    parts = path.relative_to(src).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _room(name: str) -> str:
    return name.partition(".")[0]


def _reached(graph: Imports, start: str) -> set[str]:
    seen: set[str] = set()
    todo = list(graph[start])
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo.extend(graph.get(node, ()))
    return seen


def _targets(tree: ast.Module, face: bool) -> Iterator[str]:
    """Dotted names below foretell that a file asks for."""
    root = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name == "foretell"
    }
    lazy = {id(node) for part in _handed_on(tree) for node in ast.walk(part)} if face else set()
    for node in ast.walk(tree):
        if id(node) in lazy:
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (source for _, source in _names(node))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in root:
                yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (
                arg.value.removeprefix("foretell.")
                for arg in node.args
                if isinstance(arg, ast.Constant) and str(arg.value).startswith("foretell.")
            )


def _names(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """(local name, dotted name below foretell) of an import of ours."""
    if isinstance(node, ast.ImportFrom):
        assert not node.level, "relative imports are not read"
        module = node.module or ""
        for alias in node.names:
            whole = f"{module}.{alias.name}"
            if whole.startswith("foretell."):
                yield alias.asname or alias.name, whole.removeprefix("foretell.")
        return
    for alias in node.names:
        if alias.name.startswith("foretell."):
            yield alias.asname or alias.name, alias.name.removeprefix("foretell.")


def _file(
    target: str, trees: Mapping[str, object], faces: Mapping[str, Mapping[str, str]]
) -> str | None:
    """The file of a dotted name: a module, or what defines or hands on a name."""
    if target in trees:
        return target
    module, _, name = target.rpartition(".")
    module = module or "__init__"
    if name in faces.get(module, {}):
        return _file(faces[module][name], trees, faces)
    return module if module in trees else None


def _handed_on(tree: ast.Module) -> list[ast.stmt]:
    """What a face hands on: its `__getattr__` and its imports under `TYPE_CHECKING`."""
    return [
        node
        for node in tree.body
        if (isinstance(node, ast.FunctionDef) and node.name == "__getattr__")
        or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]


def _typing(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    for part in _handed_on(tree):
        for node in ast.walk(part) if isinstance(part, ast.If) else ():
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield node
