"""A folder of images: which files are examples, of which class and split, and what is left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from foretell.errors import DataError
from foretell.training.data import images, splits


class Found(NamedTuple):
    """Image files in the order train, val, test, then class, then name.

    `sizes` are those of the folder's own splits, empty if it has none.
    """

    files: list[Path]
    classes: list[str]
    sizes: dict[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Tree:
    """A folder as deep as it goes, without what is hidden: its files, and folders below."""

    path: Path
    files: tuple[Path, ...]
    below: tuple[_Tree, ...]

    @cached_property
    def loose(self) -> list[Path]:
        """The images in it, not below."""
        return [path for path in self.files if images.is_image(path)]

    @cached_property
    def images(self) -> list[Path]:
        """All images in it and below, sorted."""
        return sorted([*self.loose, *(path for one in self.below for path in one.images)])

    @property
    def others(self) -> Counter[str]:
        """How many other files it and those below have, by their ending."""
        mine = (path for path in self.files if path not in self.loose)
        count = Counter(path.suffix.lower() or path.name for path in mine)
        return sum((one.others for one in self.below), count)


def find(root: Path) -> Found:
    """All images under `root/CLASS/`, `root/SPLIT/CLASS/` or `root/CLASS/SPLIT/`.

    Splits are recognised by their names wherever two of them are there; a folder that holds
    nothing but one such folder stands for it.

    Raises:
        DataError: no images, images outside of class folders, two folders for one split.
    """
    top = tree(root)
    inner = _inner(top)
    parts = _parts(inner)
    files: list[Path] = []
    classes: list[str] = []
    sizes: dict[str, int] = {}
    for part, labelled in parts.items():
        found = [(label, path) for label, one in labelled.items() for path in one.images]
        if found:
            sizes[part] = len(found)
        elif part == "train":
            raise _no_images(inner)
        classes += [label for label, _ in found]
        files += [path for _, path in found]
    notes = []
    if inner is not top:
        notes.append(f"read {_short(inner.path, root)}, the only folder with images")
    if len(sizes) > 1:
        said = ", ".join(f"{part} {size}" for part, size in sizes.items())
        notes.append(f"the folder has splits of its own: {said}")
        whole = [label for label, one in parts["train"].items() if one.path.parent == inner.path]
        notes += [f"trained on as a whole, for it has no split: {', '.join(whole)}"] * bool(whole)
    used = [one for labelled in parts.values() for one in labelled.values() if one.images]
    left, others = _left(inner, used)
    if left:
        notes.append(f"left out: {', '.join(_holds(one, root) for one in left)}")
    if others:
        notes.append(f"files that are no images were left out: {_counts(others)}")
    return Found(files, classes, sizes if len(sizes) > 1 else {}, tuple(notes))


def tree(root: Path, above: tuple[str, ...] = ()) -> _Tree:
    """A folder with all below; hidden ones are left out, links are followed once."""
    real = os.path.realpath(root)
    above = (*above, real)
    files: list[Path] = []
    below: list[_Tree] = []
    for path in sorted(root.iterdir()):
        if path.name.startswith((".", "__")):
            continue
        if not path.is_dir():
            files.append(path)
        elif os.path.realpath(path) not in above:
            below.append(tree(path, above))
    return _Tree(root, tuple(files), tuple(below))


def image_paths(path: Path) -> list[Path]:
    """The image file `path`, or all images below the folder `path`, sorted.

    Raises:
        DataError: there is none.
    """
    if path.is_file():
        return [path]
    found = tree(path).images
    if not found:
        raise DataError(f"no image in {path}", expected="files " + ", ".join(images.SHOWN))
    return found


def _inner(top: _Tree) -> _Tree:
    """The folder that holds the classes or splits: the only one with images, as deep as that is."""
    inner = top
    while len(full := [one for one in inner.below if one.images]) == 1:
        inner = full[0]
    return inner if len(full) > 1 else top


def _parts(top: _Tree) -> dict[str, dict[str, _Tree]]:
    """Class folders of each split, by label."""
    parts = _named(top)
    if parts:
        if "train" not in parts:
            raise DataError(
                f"{top.path} has no training examples",
                expected="a folder train/ beside the others",
                got=", ".join(f"{one.path.name}/" for one in parts.values()),
            )
        train = _classes(_unwrapped(parts.pop("train"), ()))
        rest = {part: _classes(_unwrapped(one, train)) for part, one in parts.items()}
        return {"train": train, **rest}
    full = [one for one in top.below if one.images]
    named = {one.path.name: _inside(one) for one in full}
    if not any(map(_named, full)) or not all(named.values()):
        return {"train": _classes(top)}
    return {
        part: {label: found[part] for label, found in named.items() if part in found}
        for part in splits.PARTS
    }


def _left(top: _Tree, used: Collection[_Tree]) -> tuple[list[_Tree], Counter[str]]:
    """What is below a folder and is not used: whole folders, and files in and between used ones."""
    if top in used:
        return [], top.others
    if not any(_within(one, top) for one in used):
        return [top], Counter()
    loose = Counter(path.suffix.lower() or path.name for path in top.files)
    left = [_Tree(top.path, tuple(top.loose), ())] * bool(top.loose)
    loose -= Counter(path.suffix.lower() or path.name for path in top.loose)
    for one in top.below:
        more, others = _left(one, used)
        left += more
        loose += others
    return left, loose


def _within(folder: _Tree, top: _Tree) -> bool:
    return folder is top or any(_within(folder, one) for one in top.below)


def _inside(one: _Tree) -> dict[str, _Tree]:
    """The splits of one class: those below it, which may be a single one; all of it is trained on
    where it has images alone."""
    full = [below for below in one.below if below.images]
    if not full:
        return {"train": one}
    said = {below: splits.split_of(below.path.name) for below in full}
    single = {name.part: below for below, name in said.items() if name}
    return _named(one) or (single if len(single) == len(full) and not one.loose else {})


def _named(folder: _Tree) -> dict[str, _Tree]:
    return splits.find(folder.below, lambda one: one.path.name, str(folder.path), _has_classes)


def _has_classes(folder: _Tree) -> bool:
    inside = _unwrapped(folder, ()).below
    return not folder.loose and sum(1 for one in inside if one.images) > 1


def _classes(folder: _Tree) -> dict[str, _Tree]:
    return {one.path.name: one for one in folder.below}


def _unwrapped(folder: _Tree, classes: Collection[str]) -> _Tree:
    """seg_train/seg_train/CLASS is meant as seg_train/CLASS."""
    full = [one for one in folder.below if one.images]
    alone = len(full) == 1 and full[0].path.name not in classes
    return full[0] if alone and any(one.images for one in full[0].below) else folder


def _no_images(top: _Tree) -> DataError:
    folder = _named(top).get("train", top)
    if folder.loose:
        first = folder.loose[0]
        return DataError(
            f"images in {folder.path} lie outside of class folders",
            expected="a folder for each class",
            got=f"{len(folder.loose)} loose, such as {first.name}",
            hint=f"move them: {folder.path.name}/CLASS/{first.name}",
        )
    return DataError(
        f"no images in {folder.path}",
        expected=f"class folders with files {', '.join(images.SHOWN)}",
        got=_counts(folder.others) or "nothing",
    )


def _counts(others: Counter[str]) -> str:
    return ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))


def _holds(folder: _Tree, root: Path) -> str:
    if folder.images:
        without = " without a class" if len(folder.loose) == len(folder.images) else ""
        return f"{_short(folder.path, root)} ({len(folder.images)} images{without})"
    n = folder.others.total()
    return f"{_short(folder.path, root)} ({f'{n} files' if n else 'empty'})"


def _short(path: Path, root: Path) -> str:
    return f"{path.relative_to(root)}/" if path != root else f"{path.name}/"
