"""Names that say which split something is: of folders, of arrays."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from foretell.errors import DataError

PARTS = ("train", "val", "test")
_WORDS = {
    "train": "train|training|learn",
    "val": "val|valid|validation|validate|dev|devel|development|eval|evaluation",
    "test": "test|testing|holdout",
}
_TAIL = r"(?:[\W_]*(?:set|data|dataset|split|part|images?|imgs?))?(?:[\W_]*\d{4})?"
_NAME = re.compile(
    rf"(?P<stem>(?:.*[\W_])?)(?:{'|'.join(f'(?P<{k}>{v})' for k, v in _WORDS.items())}){_TAIL}",
    re.IGNORECASE,
)
T = TypeVar("T")


def split_of(name: str) -> tuple[str, str] | None:
    """The split that a name says, and what stands before it; None where it says none.

    >>> split_of("trainset"), split_of("seg_test"), split_of("Validation"), split_of("dev")
    (('train', ''), ('test', 'seg'), ('val', ''), ('val', ''))
    >>> split_of("training-plan"), split_of("contest"), split_of("val2017")
    (None, None, ('val', ''))
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    (part,) = (part for part in PARTS if found[part] is not None)
    return part, found["stem"].rstrip("_-. ").lower()


def find(items: Iterable[T], name_of: Callable[[T], str], where: str) -> dict[str, T]:
    """Those items that are splits of one whole, in the order train, val, test; none where fewer
    than two splits are there.

    Raises:
        DataError: two items are the same split.
    """
    groups: dict[str, dict[str, list[T]]] = {}
    for item in items:
        said = split_of(name_of(item))
        if said is not None:
            groups.setdefault(said[1], {}).setdefault(said[0], []).append(item)
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
