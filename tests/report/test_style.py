"""Colours that can be read, in light and in dark (WCAG 2.2, 1.4.3 and 1.4.11)."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from foretell.report.display import COLOURS

CSS = resources.files("foretell.report").joinpath("page.css").read_text(encoding="utf-8")


def variables(text: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", text))


LIGHT = variables(CSS[: CSS.index("@media")])
DARK = LIGHT | variables(CSS[CSS.index("@media") : CSS.index("* {")])


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, two: str) -> float:
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_black_and_white() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_marks_stand_out(theme: dict[str, str]) -> None:
    for text in ("ink", "muted", "link"):
        for ground in ("page", "card", "tint"):
            assert contrast(theme[text], theme[ground]) >= 4.5, (text, ground)
    assert contrast(theme["warn"], theme["warn-tint"]) >= 4.5
    assert contrast(theme["card"], theme["winner"]) >= 4.5  # the winner's badge
    marks = ["sample", "top", "random", "winner", *(f"kind-{i}" for i in range(6))]
    for mark in marks:
        assert contrast(theme[mark], theme["card"]) >= 3, mark


def test_every_colour_of_a_figure_has_both_themes() -> None:
    assert set(COLOURS) <= set(LIGHT)
    assert all(LIGHT[role] != DARK[role] for role in COLOURS)
