"""How numbers are written in the cells of a table, and what is written where there is none."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

MISSING = frozenset({"", "?", "na", "n/a", "nan", "null", "none"})  # compared in lower case
NO_NUMBER = MISSING | {  # in columns of numbers
    "#n/a", "#na", "#n/a n/a", "<na>", "n.a.", "-nan", "1.#qnan", "-1.#ind", "nat", "-", "--", ".",
    "#value!", "#div/0!", "#num!", "#ref!", "#null!", "#name?", "missing", "unknown",
}  # fmt: skip
CODE = re.compile(r"0\d+|\d{16,}")  # numbers that are names: 001, a long id
_ALIKE = str.maketrans("\u00a0\u2007\u2009\u202f\u2019\u2212", "    '-")
_GROUP_NAMES = {" ": "spaces", "'": "apostrophes", ",": "commas", ".": "dots"}
_BELOW_ONE = re.compile(r"[^\d,]*0,")  # 0,5: no comma between thousands
_AMOUNT = re.compile(r"[+-]?(?:\d[\d.,' ]*|[.,]\d+)(?:[eE][+-]?\d+)?")


@dataclass(frozen=True)
class Style:
    """How the numbers of a column are written.

    Args:
        group: what stands between thousands, "" where nothing has to.
        decimal: the point, or the comma of 1,5 and 1.234,5.
        before: a sign of currency that stands before each.
        after: a unit, a percent sign or a currency that stands behind each.

    >>> Style(" ", ",", after="€").read("1 234,50 €"), Style().read("1.5 kg")
    (1234.5, None)
    """

    group: str = ""
    decimal: str = "."
    before: str = ""
    after: str = ""

    @property
    def how(self) -> str:
        """In words, "" where it is plain."""
        said = [f"{_GROUP_NAMES[self.group]} between thousands"] if self.group else []
        said += ["decimal commas"] * (self.decimal == ",")
        said += [f"without {one!r}" for one in (self.before, self.after) if one]
        return ", ".join(said)

    @property
    def unit(self) -> str:
        """What stands around the numbers."""
        return self.before or self.after

    @property
    def spec(self) -> list[str]:
        """The arguments, JSON-able."""
        return list(astuple(self))

    def read(self, cell: str) -> float | None:
        """The number of a cell, or None."""
        text = cell.translate(_ALIKE)
        text = text.removesuffix(self.after).rstrip()
        sign = text[:1] if self.before and text[:1] in ("+", "-") else ""
        text = sign + text.removeprefix(sign).removeprefix(self.before).lstrip()
        if self.group and self.group in text:
            whole, decimal = map(re.escape, (self.group, self.decimal))
            if not re.fullmatch(rf"[+-]?\d{{1,3}}({whole}\d{{3}})+({decimal}\d*)?", text):
                return None
            text = text.replace(self.group, "")
        elif self.decimal == "," and "." in text:
            return None
        return number(text.replace(self.decimal, "."))

    def numbers(self, cells: Sequence[str]) -> list[float | None]:
        """The numbers of cells, NaN where there is none and None where there is something else."""
        return [math.nan if cell.lower() in NO_NUMBER else self.read(cell) for cell in cells]

    def reads(self, known: Sequence[str]) -> bool:
        """Whether it reads all these cells."""
        return all(self.read(cell) is not None for cell in known)


def style(known: Sequence[str]) -> Style | None:
    """How the numbers of a column are written; None where it has other cells than numbers.

    >>> style(["1'234.5 kg", "17 kg"])
    Style(group="'", decimal='.', before='', after='kg')
    >>> style(["1-2", "3-4"]), style(["conv", "3"])
    (None, None)
    """
    if Style().reads(known):
        return Style()
    cells = [cell.translate(_ALIKE) for cell in known]
    around = _around(cells)
    found = (_grouped(cells, replace(around, group=one)) for one in ("", " ", "'"))
    return next((one for one in found if one is not None), None)


def _grouped(cells: Sequence[str], so_far: Style) -> Style | None:
    """With commas between thousands, or as the decimal sign, or neither."""
    if so_far.group and not any(so_far.group in cell for cell in cells):
        return None
    if any("," in cell for cell in cells):
        english = replace(so_far, group=",")
        if not (so_far.group or any(map(_BELOW_ONE.match, cells))) and english.reads(cells):
            return english
        dots = not so_far.group and any("." in cell for cell in cells)
        so_far = replace(so_far, decimal=",", group="." if dots else so_far.group)
    return so_far if so_far.reads(cells) else None


def _around(cells: Sequence[str]) -> Style:
    """The currency before all cells and the unit behind them, where they are the same in all."""
    before, after = ({side(cell) for cell in cells} for side in (_before, _after))
    return Style(
        before=before.pop() if len(before) == 1 else "",
        after=after.pop() if len(after) == 1 else "",
    )


def _before(cell: str) -> str:
    first = cell.lstrip("+-")[:1]
    return first if first and unicodedata.category(first) == "Sc" else ""


def _after(cell: str) -> str:
    """What stands behind a number, if it can be a unit: kg, %, m3; not in 1-2, 12:30 or 3/4."""
    found = _AMOUNT.match(cell.lstrip("+-").removeprefix(_before(cell)).lstrip())
    rest = found.string[found.end() :].strip() if found else ""
    if not rest or not (rest[0].isalpha() or rest[0] in "%\u2030\u00b0" or _before(rest)):
        return ""
    return rest


def number(cell: str) -> float | None:
    """A plain number, or None."""
    try:
        return float(cell) if "_" not in cell else None
    except ValueError:
        return None
