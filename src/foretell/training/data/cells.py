"""How numbers are written in the cells of a table, and what is written where there is none."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

MISSING = frozenset({"", "?", "na", "n/a", "nan", "null", "none"})  # compared in lower case
NO_NUMBER = MISSING | {  # in columns of numbers
    "#n/a", "#na", "#n/a n/a", "<na>", "n.a.", "-nan", "1.#qnan", "-1.#ind", "nat", "-", "--", ".",
    "#value!", "#div/0!", "#num!", "#ref!", "#null!", "#name?", "missing", "unknown",
}  # fmt: skip
_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+)?(,\d+)?([eE][+-]?\d+)?")  # 1.234,5
_GROUPS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")  # 1,234.5
CODE = re.compile(r"0\d+|\d{16,}")  # numbers that are names: 001, a long id


def style(known: Sequence[str]) -> tuple[str, Callable[[str], float | None]]:
    """How the numbers of a column are written, and what reads them."""
    if any("," in cell for cell in known):
        if (
            all(_GROUPS.fullmatch(cell) or number(cell) is not None for cell in known)
            and any(
                cell.count(",") > 1 or "." in cell or len(cell.split(",")[-1]) == 3
                for cell in known
            )
            and not any(cell.startswith(("0,", "-0,")) for cell in known)
        ):
            return "commas between thousands", lambda cell: number(cell.replace(",", ""))
        if all(_COMMA.fullmatch(cell) for cell in known):
            plain = {ord("."): None, ord(","): "."}
            return "decimal commas", lambda cell: number(cell.translate(plain))
    return "", number


def number(cell: str) -> float | None:
    """A plain number, or None."""
    try:
        return float(cell) if "_" not in cell else None
    except ValueError:
        return None
