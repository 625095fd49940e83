"""The generated pages: what is made of docstrings and catalog rows, and what a build refuses."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import foretell as ft
from foretell import _catalog

ROOT = Path(__file__).resolve().parents[1]
ALL = [(kind, name) for kind in _catalog.KINDS for name in _catalog.names(kind)]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs" / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pages = load()

DOC = """Counts of what is there.

A vertex i < j has the label l_i, then

    l'(i) = hash(l(i), * of neighbours)

and the dots say so:

1. first
2. second

Args:
    space: the space
        whose rows it sees.
    lr, decay: as in `GCN`.

Shapes: (n, d) to (n,).

References: One et al. 2020, A
Title. Differs:
ours is smaller.

>>> 1 + 1
2

>>> 2 + 2
4
"""


class Counts:
    __doc__ = DOC

    def __init__(self, space: object, lr: float = 0.1, decay: tuple[int, ...] = ()) -> None: ...

    def extra(self, X: object, scale: float = 2.0) -> None:
        """What others lack: `X` | more.

        Not shown.
        """


def page(row: _catalog.Row, monkeypatch: pytest.MonkeyPatch, cls: type) -> str:
    monkeypatch.setattr(pages, "named", lambda _: cls)
    monkeypatch.setitem(_catalog.KINDS, "predictor", (row,))
    return str(pages.component("predictor", row))


ROW = _catalog.Row(
    "counts",
    "foretell.predictors.gcn:GCN",
    "counts of a_b",
    "One 2020",
    extra="gp",
    packages=("gpytorch",),
    needs=frozenset({"costs"}),
    tags=frozenset({"std"}),
    aliases=("cnt",),
)


def test_a_page_has_what_row_and_docstring_say(monkeypatch: pytest.MonkeyPatch) -> None:
    text = page(ROW, monkeypatch, Counts)
    for part in (
        "# counts\n\n*Counts of a\\_b.*",
        '| get it | `ft.predictors.get("counts", space=space)` |',
        "| also called | `cnt` |",
        "| uncertainty | `predict(X, return_std=True)` |",
        "| needs of the space | `costs` |",
        "| install | `pip install foretell[gp]` |",
        "A vertex i \\< j has the label l\\_i, then",
        "```text\nl'(i) = hash(l(i), * of neighbours)\n```",
        "1. first\n2. second",
        "| `space` |  | the space whose rows it sees. |",
        "| `lr` | `0.1` | as in `GCN`. |",
        "| `decay` | `()` | as in `GCN`. |",
        "## Shapes\n\n(n, d) to (n,).",
        "## References\n\nOne et al. 2020, A\nTitle.",
        "## Where it differs\n\nOurs is smaller.",
        "## Example\n\n```pycon\n>>> 1 + 1\n2\n\n>>> 2 + 2\n4\n```",
        "## Methods\n\n- `extra(X, scale=2.0)`: What others lack: `X` \\| more.",
    ):
        assert part in text
    assert "Not shown" not in text


def test_what_the_row_does_not_say_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    text = page(_catalog.Row("counts", ROW.target, "counts"), monkeypatch, Counts)
    assert not any(word in text for word in ("uncertainty", "install", "also called", "| from |"))


@pytest.mark.parametrize(
    ("doc", "said"), [(None, "no docstring"), ("One.\n\nArgs:\n    wrong: no such.", "'wrong'")]
)
def test_a_faulty_docstring_ends_the_build(
    doc: str | None, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad = type("Bad", (), {"__doc__": doc, "__init__": Counts.__init__})
    with caplog.at_level(logging.WARNING):
        page(ROW, monkeypatch, bad)
    assert said in caplog.text  # mkdocs counts warnings of its own loggers, and is strict
    assert caplog.records[0].name.startswith("mkdocs.")


def test_a_block_that_is_none_ends_the_build(caplog: pytest.LogCaptureFixture) -> None:
    where = SimpleNamespace(file=SimpleNamespace(src_uri="runs.md"))
    pages.on_page_content("<pre>fine</pre>", page=where, config=None, files=None)
    assert not caplog.records
    pages.on_page_content("<p>```python title=x.py</p>", page=where, config=None, files=None)
    assert "runs.md" in caplog.text


def test_every_noun_has_a_page(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        index = pages.python()
        for name, noun in pages.nouns().items():
            assert pages.described(name, noun).startswith(f"# {name}\n\n")
            assert f"[`ft.{name}`]({pages.noun_page(name)})" in index
    assert not caplog.records
    assert {name for name in ft.__all__ if not isinstance(getattr(ft, name), ModuleType)} == {
        *pages.nouns(),
        "__version__",
    }
    places = [pages.noun_page(name).lower() for name in pages.nouns()]
    assert len(set(places)) == len(places)  # where a and A are one file, too


@pytest.mark.parametrize(("kind", "name"), ALL, ids=["/".join(one) for one in ALL])
def test_every_component_has_a_page(kind: str, name: str, caplog: pytest.LogCaptureFixture) -> None:
    row = _catalog.row(kind, name)
    with caplog.at_level(logging.WARNING):
        text = pages.component(kind, row)
    assert not caplog.records
    assert row.target.rpartition(":")[2] in text
    assert name in pages.listed()[kind]
    assert f"[`{name}`]({name}.md)" in pages.overview(kind)
    assert (">>> " in (pages.named(row).__doc__ or "")) == ("## Example\n\n```pycon\n>>> " in text)


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/x.js"></script>',
        "<img alt=a src=//cdn.example/a.png>",
        '<link rel="stylesheet" href="http://fonts.example/css">',
        "<style>a { background: url('https://x.example/a.svg') }</style>",
        '<style>@import "https://x.example/a.css";</style>',
    ],
)
def test_a_page_that_loads_from_a_network_is_refused(html: str, tmp_path: Path) -> None:
    (tmp_path / "fine.html").write_text(
        '<a href="https://a.example">there</a><link rel="canonical" href="https://a.example/x">'
        '<script src="assets/x.js"></script><img src="a.png">'
    )
    config = SimpleNamespace(site_dir=str(tmp_path))
    pages.on_post_build(config)
    (tmp_path / "bad.html").write_text(html)
    with pytest.raises(pages.PluginError, match=r"bad\.html loads from a network"):
        pages.on_post_build(config)
