"""`h` escapes by construction."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from foretell.report.html import Html, escape, h, join

# what a document can hold; other control characters are replaced, "\r" is a line break to a parser
VISIBLE = st.text(st.characters(exclude_categories=("Cc", "Cs")))


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(text=VISIBLE, attribute=VISIBLE)
def test_any_text_comes_back_as_text(text: str, attribute: str) -> None:
    reader = Reader()
    reader.feed(h("p", text, title=attribute))
    reader.close()
    assert reader.tags == [("p", {"title": attribute})]
    assert reader.text == text


@given(st.text())
def test_escaped_text_can_be_written_as_utf8(text: str) -> None:
    clean = escape(text)
    clean.encode("utf-8")
    assert not set(clean) & set("<>\"'\x00\x1b")


def test_lone_surrogates_do_not_break_the_page() -> None:
    assert escape("a\ud800b").encode() == b"a?b"


def test_markup_is_kept_and_none_is_left_out() -> None:
    inner = h("b", "1 & 2")
    assert h("p", inner, None, ["x", Html("<i></i>")], id="a", hidden=True, title=None) == (
        '<p id="a" hidden><b>1 &amp; 2</b>x<i></i></p>'
    )
    assert join([]) == ""
