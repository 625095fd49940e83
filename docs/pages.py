"""The pages that nobody writes: one a component from its catalog row and docstring.

A hook of mkdocs. It also makes the navigation from the files that are there, and refuses a built
page that would load something from a network.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

import foretell
from foretell import _catalog

log = logging.getLogger("mkdocs.hooks.pages")  # what it warns of ends a strict build

ROOT = Path(__file__).resolve().parents[1]
COPIES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
SECTION = re.compile(r"(Args|Attributes|Shapes|Returns|Raises|References|Differs):\s*(.*)")
ENTRY = re.compile(r" {4}([\w, *]+): (.*)")
LOADS = re.compile(
    r"<(?:script|img|iframe|source|video)\b[^>]*\bsrc(?:set)?=[\"']?(?:https?:)?//[^>]*>"
    r"|<link\b(?![^>]*rel=[\"']?(?:canonical|prev|next|alternate))[^>]*href=[\"']?(?:https?:)?//[^>]*>"
    r"|url\(\s*[\"']?(?:https?:)?//[^)]*\)|@import\s+[\"'](?:https?:)?//[^;]*"
)


# -- mkdocs asks --------------------------------------------------------------------------------


def on_config(config: Any) -> Any:
    """The navigation: what is written, sorted by kind, then the catalog."""
    docs = Path(config.docs_dir)
    config.nav = [
        {"Start": "index.md"},
        {"Concepts": "concepts.md"},
        {"Your data": "data.md"},
        {"Runs": "runs.md"},
        {"Searches": "searches.md"},
        {"Any network": "transfer.md"},
        {"Choosing a strategy": "searching.md"},
        {"On a GPU": "gpu.md"},
        {"Zero-cost proxies": "proxies.md"},
        {"Supernets": "supernets.md"},
        {"Learning curves": "curves.md"},
        {"Guides": [path.name for path in sorted(docs.glob("adding_a*.md"))]},
        {"Python": ["python/index.md", *(f"python/{noun_page(name)}" for name in nouns())]},
        *(
            {
                plural(kind).capitalize(): [
                    f"{plural(kind)}/index.md",
                    *(page(kind, n) for n in names),
                ]
            }
            for kind, names in listed().items()
        ),
        {
            "Decisions": [
                "decisions/index.md",
                *(f"decisions/{path.name}" for path in sorted(docs.glob("decisions/0*.md"))),
            ]
        },
        {"Contributing": "contributing.md"},
        {"Changelog": "changelog.md"},
    ]
    return config


def on_files(files: Files, config: Any) -> Files:
    """README and its like, and the pages of the catalog."""
    for source, target in COPIES.items():
        text = (ROOT / source).read_text()
        for other, name in COPIES.items():
            text = text.replace(f"]({other})", f"]({name})")
        files.append(File.generated(config, target, content=text.replace("](docs/", "](")))
    files.append(File.generated(config, "python/index.md", content=python()))
    for name, noun in nouns().items():
        files.append(
            File.generated(config, f"python/{noun_page(name)}", content=described(name, noun))
        )
    for kind, names in listed().items():
        files.append(File.generated(config, f"{plural(kind)}/index.md", content=overview(kind)))
        for name in names:
            text = component(kind, _catalog.row(kind, name))
            files.append(File.generated(config, page(kind, name), content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """The list of decisions follows from their files."""
    if page.file.src_uri != "decisions/index.md":
        return markdown
    pages = sorted(Path(config.docs_dir).glob("decisions/0*.md"))
    titles = {path: path.read_text().partition("\n")[0].removeprefix("# ") for path in pages}
    lines = [[path.stem[:4], f"[{title}]({path.name})"] for path, title in titles.items()]
    return f"{markdown}\n{table(['', ''], lines)}\n"


def on_page_content(html: str, page: Any, **_: Any) -> None:
    """A fence that is left in a page is none that markdown knows."""
    if "```" in html:
        log.warning("%s: a block of code that is not read as one", page.file.src_uri)


def on_post_build(config: Any) -> None:
    """Nothing that a page shows may come from elsewhere."""
    for path in sorted(Path(config.site_dir).rglob("*")):
        if path.suffix in (".html", ".css") and (found := LOADS.search(path.read_text())):
            raise PluginError(f"{path} loads from a network: {found[0][:200]}")


# -- the catalog --------------------------------------------------------------------------------


def listed() -> dict[str, list[str]]:
    """Kind -> its names, of the kinds that have some."""
    return {kind: _catalog.names(kind) for kind, rows in _catalog.KINDS.items() if rows}


def plural(kind: str) -> str:
    """The word for many of a kind, which is also a folder."""
    return kind[:-1] + "ies" if kind.endswith("y") else kind + "s"


def page(kind: str, name: str) -> str:
    """Where the page of a component is."""
    return f"{plural(kind)}/{name}.md"


def room(row: _catalog.Row) -> Any:
    """The package that holds a component's file."""
    return importlib.import_module(".".join(row.target.partition(":")[0].split(".")[:2]))


def named(row: _catalog.Row) -> Any:
    """A component's class, whether or not the packages that it needs are there."""
    module, _, name = row.target.partition(":")
    return getattr(importlib.import_module(module), name)


def overview(kind: str) -> str:
    """The page of a kind: what its room says, and a table of what its rows say."""
    rows = sorted(_catalog.KINDS[kind], key=lambda row: row.name)
    columns = {
        "name": [f"[`{row.name}`]({row.name}.md)" for row in rows],
        "what it is": [prose(row.summary) for row in rows],
        "from": [prose(row.reference) for row in rows],
        "uncertainty": ["yes" if "std" in row.tags else "" for row in rows],
        "extra": [f"`{row.extra}`" if row.extra else "" for row in rows],
    }
    filled = {head: cells for head, cells in columns.items() if any(cells)}
    said = "\n\n".join(markdown(block) for block in blocks(inspect.getdoc(room(rows[0])) or ""))
    lines = [list(line) for line in zip(*filled.values(), strict=True)]
    return f"# {plural(kind).capitalize()}\n\n{said}\n\n{table(list(filled), lines)}\n"


def component(kind: str, row: _catalog.Row) -> str:
    """The page of one component."""
    lead = f"*{prose(sentence(row.summary))}.*\n\n{facts(kind, row)}"
    return described(row.name, named(row), lead)


def nouns() -> dict[str, Any]:
    """Classes and functions of the package itself, sorted."""
    found = {name: getattr(foretell, name) for name in sorted(foretell.__all__)}
    return {name: noun for name, noun in found.items() if callable(noun)}


def noun_page(name: str) -> str:
    """Where the page of a noun is: `Choice` and `choice` must not be one file anywhere."""
    return f"{name}.md" if name[0].isupper() else f"functions/{name}.md"


def python() -> str:
    """The page of what `import foretell as ft` gives."""
    lines = [
        [
            f"[`ft.{name}`]({noun_page(name)})",
            prose((inspect.getdoc(noun) or "").partition("\n\n")[0]),
        ]
        for name, noun in nouns().items()
    ]
    rooms = ", ".join(
        f"`ft.{plural(kind)}`" for kind in listed() if hasattr(foretell, plural(kind))
    )
    more = f"{rooms}: `names()` lists what is there, `get(name, ...)` makes one."
    return f"# Python\n\n{table(['name', 'what it is'], lines)}\n\n{more}\n"


def described(title: str, noun: Any, lead: str = "") -> str:
    """The page of a class or function: its docstring, settings, methods."""
    out = [f"# {title}", *[lead] * bool(lead)]
    read = blocks(inspect.getdoc(noun) or "")
    if not read:
        log.warning("%s has no docstring", title)
    settings = parameters(noun, next((b.entries for b in read if b.title == "Args"), {}))
    for block in read:
        if block.title == "Args":
            out.append("## Parameters\n\n" + settings)
            settings = ""
        elif block.title:
            heading = {"Differs": "Where it differs"}.get(block.title, block.title)
            out.append(f"## {heading}\n\n{markdown(block)}")
        else:
            out.append(markdown(block))
    if settings:
        out.append("## Parameters\n\n" + settings)
    if isinstance(noun, type):
        out += methods(noun)
    return "\n\n".join(out) + "\n"


def facts(kind: str, row: _catalog.Row) -> str:
    """A table of what the row says."""
    lines = [["class", f"`{row.target.replace(':', '.')}`"]]
    get = getattr(room(row), "get", None)
    if get is not None:
        more = ", space=space" if "space" in inspect.signature(get).parameters else ""
        where = room(row).__name__.rpartition(".")[2]
        lines.insert(0, ["get it", f'`ft.{where}.get("{row.name}"{more})`'])
    if row.recipe:
        made = ", ".join(f"`{name}={value!r}`" for name, value in row.recipe.items())
        lines.append(["a recipe", f"the class with {made}"])
    if row.aliases:
        lines.append(["also called", ", ".join(f"`{alias}`" for alias in row.aliases)])
    if row.reference:
        lines.append(["from", prose(row.reference)])
    if any("std" in other.tags for other in _catalog.KINDS[kind]):
        says = "`predict(X, return_std=True)`" if "std" in row.tags else "none of its own"
        lines.append(["uncertainty", says])
    if row.needs:
        lines.append(["needs of the space", ", ".join(f"`{need}`" for need in sorted(row.needs))])
    if row.extra:
        lines.append(["install", f"`pip install foretell[{row.extra}]`"])
    return table(["", ""], lines)


def parameters(noun: Any, entries: Mapping[str, str]) -> str:
    """The table of settings: signature and docstring side by side."""
    if not entries and isinstance(noun, type) and "__init__" not in vars(noun):
        return ""
    taken = inspect.signature(noun.__init__ if isinstance(noun, type) else noun).parameters
    starred = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    known = {name: p for name, p in taken.items() if name != "self" and p.kind not in starred}
    for name in set(entries) - set(known):
        log.warning("%s: Args names %r, which it does not take", noun.__qualname__, name)
    lines = [
        [
            f"`{name}`",
            "" if p.default is p.empty else code(default(p.default)),
            prose(entries.get(name, "")),
        ]
        for name, p in known.items()
    ]
    return table(["name", "default", "meaning"], lines) if lines else ""


def default(value: Any) -> str:
    """A default as one writes it."""
    return "{}" if type(value).__name__ == "_HAS_DEFAULT_FACTORY_CLASS" else repr(value)


def methods(cls: type) -> Iterator[str]:
    """What it can do beside what its bases promise."""
    lines = []
    for name, value in vars(cls).items():
        said = (inspect.getdoc(value) or "").partition("\n\n")[0]
        if name.startswith("_") or not said or any(hasattr(b, name) for b in cls.__mro__[1:]):
            continue
        if isinstance(value, property | functools.cached_property):
            lines.append(f"- `{name}`: {prose(said)}")
        elif inspect.isfunction(function := getattr(value, "__func__", value)):
            lines.append(f"- `{name}{call(function)}`: {prose(said)}")
    if lines:
        own = "Methods of its own" if cls.__mro__[1:-1] else "Methods"
        yield f"## {own}\n\n" + "\n".join(lines)


def call(function: Any) -> str:
    """The arguments of a method, without their types."""
    names = [
        p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "cls")
    ]
    return "(" + ", ".join(str(p.replace(annotation=p.empty)) for p in names) + ")"


# -- docstrings ---------------------------------------------------------------------------------


class Block(NamedTuple):
    """A paragraph, an equation, a doctest, or a section with its title."""

    form: str  # "prose", "equation", "doctest", "entries"
    text: str
    title: str = ""
    entries: Mapping[str, str] = MappingProxyType({})


def blocks(doc: str) -> list[Block]:
    """The parts of a docstring of this house, in their order."""
    out: list[Block] = []
    for paragraph in re.split(r"\n\s*\n", doc.strip("\n")):
        if paragraph.startswith(">>>"):
            if out and out[-1].form == "doctest":
                out[-1] = out[-1]._replace(text=f"{out[-1].text}\n\n{paragraph}")
            else:
                out.append(Block("doctest", paragraph, "Example"))
        elif paragraph.startswith("    "):
            out.append(Block("equation", inspect.cleandoc("\n" + paragraph)))
        else:
            out += sections(paragraph)
    return out


def sections(paragraph: str) -> Iterator[Block]:
    """The sections of one paragraph; what stands before the first has no title."""
    title, lines = "", []
    # "References: ... Differs: ..." in one line are two
    paragraph = re.sub(r"(?<=[.):]) (?=Differs:\s)", "\n", paragraph)
    for line in [*paragraph.splitlines(), "Args:"]:  # the last one only closes
        found = SECTION.fullmatch(line)
        if not found:
            lines.append(line)
            continue
        if title in ("Args", "Attributes") or (lines and ENTRY.match(lines[0])):
            yield Block("entries", "", title, dict(entries(lines)))
        elif lines:
            text = inspect.cleandoc("\n" + "\n".join(lines))
            yield Block("prose", sentence(text) if title else text, title)
        title, lines = found[1], [found[2]] if found[2] else []


def entries(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Name and meaning; "a, b: as there" are two."""
    text = "\n".join(lines)
    for entry in re.split(r"\n(?= {4}\S)", text):
        found = ENTRY.match(entry)
        if found:
            meaning = " ".join([found[2], *(line.strip() for line in entry.splitlines()[1:])])
            yield from ((name.strip(" *"), meaning) for name in found[1].split(","))


def markdown(block: Block) -> str:
    """A block as markdown."""
    if block.form == "entries":
        return "\n".join(f"- `{name}`: {prose(text)}" for name, text in block.entries.items())
    if block.form == "prose":
        return prose(block.text)
    language = {"equation": "text", "doctest": "pycon"}[block.form]
    return f"```{language}\n{block.text}\n```"


def prose(text: str) -> str:
    """Text of a docstring: what is no code is taken literally."""
    parts = re.split(r"(`[^`]+`)", text)
    parts[::2] = [re.sub(r"([\\*_\[\]<>|#])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def sentence(text: str) -> str:
    """Text that begins as a sentence does, unless with a name."""
    return text[:1].upper() + text[1:] if text.split()[0].strip(",:;").isalpha() else text


def code(text: str) -> str:
    """Text as code in a cell."""
    return "`" + text.replace("|", "\\|") + "`"


def table(head: list[str], lines: list[list[str]]) -> str:
    """A markdown table."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.split()) for cell in row) + " |" for row in rows
    )
