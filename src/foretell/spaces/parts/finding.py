"""What a check of a space has to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from foretell.errors import ForetellError
from foretell.spaces.parts.reason import reason

Level = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One thing that the check has to say.

    Args:
        level: "error": a search would fail; "warning": it would work, and something is lost;
            "info": what was counted and measured.
        code: what the finding is about, in a word, such as "output" or "gradient".
        text: what is wrong and the next step.
    """

    level: Level
    code: str
    text: str


def failed(code: str, doing: str, error: Exception) -> Finding:
    """The finding that something raised."""
    return Finding("error", code, f"{doing} failed: {said(error)}")


def said(error: Exception) -> str:
    """Our own message, or the reason for a user's exception."""
    return error.text if isinstance(error, ForetellError) else reason(error)
