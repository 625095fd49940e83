"""HTML that cannot be injected into: every child of `h` is escaped unless it came from `h`."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

_VOID = {"meta", "input", "link", "wbr", "img"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | None | Iterable["Child"]


def h(tag: str, *children: Child, **attributes: str | bool | None) -> Html:
    """One element; children that are plain text are escaped, None is left out.

    Args:
        tag: element name.
        children: text, elements, or iterables of them.
        attributes: `class_` is class, other underscores become dashes; True is a bare attribute,
            None and False leave it out.

    >>> h("p", "1 < 2 ", h("b", "yes"), class_="note")
    '<p class="note">1 &lt; 2 <b>yes</b></p>'
    """
    words = [tag]
    for key, value in attributes.items():
        name = key.rstrip("_").replace("_", "-")
        if value is True:
            words.append(name)
        elif value is not None and value is not False:
            words.append(f'{name}="{escape(value)}"')
    opening = f"<{' '.join(words)}>"
    return Html(opening if tag in _VOID else f"{opening}{join(children)}</{tag}>")


def join(children: Iterable[Child]) -> Html:
    """Several children behind each other, escaped where they are plain text."""
    parts = []
    for child in children:
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(escape(child))
        elif child is not None:
            parts.append(join(child))
    return Html("".join(parts))


def escape(text: str) -> Html:
    """Plain text as markup, without characters that no document may hold.

    >>> escape('<a href="x">')
    '&lt;a href=&quot;x&quot;&gt;'
    """
    clean = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    return Html(html.escape(clean.encode("utf-8", "replace").decode("utf-8")))
