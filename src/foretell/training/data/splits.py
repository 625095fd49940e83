"""Names that say which split something is: of folders, of arrays."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from foretell.errors import DataError

PARTS = ("train", "val", "test")
_WORDS = {
    "train": r"train|training|learn|trn",
    "val": r"val|valid|validation|validate|dev|devel|development|eval|evaluation",
    "test": r"test|testing|tst|h[oe]ld[\W_]?out",
}
_WORD = (
    rf"(?:{'|'.join(f'(?P<{part}>{words})' for part, words in _WORDS.items())})"
    r"(?:[\W_]*(?:set|data|dataset|split|part|images?|imgs?|files?))?(?:[\W_]*\d{4})?"
)
_NAME = re.compile(rf"(?P<before>(?:.*[\W_])?){_WORD}(?P<after>)", re.IGNORECASE)
_LONGER = re.compile(rf"(?P<before>(?:.*?[\W_])??){_WORD}(?P<after>[\W_\d].*)", re.IGNORECASE)
_BOTH = re.compile(r"train[\W_]*val(?:id(?:ation)?)?(?![a-z])", re.IGNORECASE)
_COUNT = re.compile(r"\d+[\W_]*")  # 01_train, 02_test
T = TypeVar("T")


class Said(NamedTuple):
    """The split that a name says, and what stands before and after it."""

    part: str
    before: str = ""
    after: str = ""


def split_of(name: str) -> Said | None:
    """The split that a name says; None where it says none.

    >>> [split_of(name).part for name in ("trainset", "Validation", "dev", "val2017", "trainval")]
    ['train', 'val', 'val', 'val', 'train']
    >>> split_of("seg_test"), split_of("train-clean"), split_of("contest")
    (Said(part='test', before='seg', after=''), Said(part='train', before='', after='clean'), None)
    """
    name = _BOTH.sub("train", name)
    found = _NAME.fullmatch(name) or _LONGER.fullmatch(name)
    if found is None:
        return None
    (part,) = (part for part in PARTS if found[part] is not None)
    before, after = (found[side].strip("_-. ").lower() for side in ("before", "after"))
    return Said(part, "" if _COUNT.fullmatch(before) else before, after)


def find(
    items: Iterable[T],
    name_of: Callable[[T], str],
    where: str,
    sure: Callable[[T], bool] = lambda item: True,
) -> dict[str, T]:
    """Those items that are splits of one whole, in the order train, val, test; none where fewer
    than two splits are there.

    Args:
        items: what may be splits.
        name_of: their names; splits of one whole differ in the split alone.
        where: what they are in, for errors.
        sure: whether an item with a longer name, such as "train-clean", can be a split.

    Raises:
        DataError: two items are the same split.
    """
    groups: dict[tuple[str, str], dict[str, list[T]]] = {}
    for item in items:
        said = split_of(name_of(item))
        if said is not None and (not said.after or sure(item)):
            groups.setdefault(said[1:], {}).setdefault(said.part, []).append(item)
    whole = [group for group in groups.values() if len(group) > 1]
    if not whole:
        return {}
    found: Mapping[str, list[T]] = max(whole, key=len)
    for part, same in found.items():
        if len(same) > 1:
            raise DataError(
                f"{where} has two for the split {part!r}",
                expected="one",
                got=", ".join(sorted(map(name_of, same))),
                hint="move one of them away",
            )
    return {part: found[part][0] for part in PARTS if part in found}
