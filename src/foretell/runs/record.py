"""run.json: what a run computes, on what, and what may not change when it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, Self

from foretell.errors import RunError, SettingError
from foretell.runs.settings import OPTIONS, SAVED, Settings, saved, sound
from foretell.training.recipe import Recipe
from foretell.typed import REST, Reader, plain, short

FORMAT = 3
_FREE: Mapping[str, Any] = {"free": ("", "*")}  # metadata of what may differ when a run goes on


@dataclass(frozen=True)
class SpaceRecord:
    """The space of a run: its name, how it was asked for, its settings and its size.

    `source` is a digest of what it computes, of one that is not of the catalog; see
    `evidence.parts.identity.space_digest`.
    """

    name: str = ""
    spec: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    size: int | None = None
    d: int | None = None
    closed_form_costs: bool = False
    source: str = ""


@dataclass(frozen=True)
class StrategyRecord:
    """The strategy of a run, and its settings."""

    name: str = ""
    settings: dict[str, Any] = field(default_factory=dict, metadata=REST)


@dataclass(frozen=True)
class DataRecord:
    """The data of a run, as `Data.describe` has it; equal digests mean equal content.

    Args:
        notes: what was decided, or left out.
        counts: rows of each class or label in train, val and test.
        columns: of a table, "name", "as" and "note".
    """

    name: str = ""
    task: str = ""
    input_shape: tuple[int, ...] = ()
    n_outputs: int | None = None
    labels: tuple[str, ...] = ()
    sizes: dict[str, int] = field(default_factory=dict)
    split_digest: str = ""
    digest: str = ""
    notes: tuple[str, ...] = ()
    counts: dict[str, tuple[int, ...]] = field(default_factory=dict)
    columns: tuple[dict[str, str], ...] | None = None
    about: dict[str, Any] = field(default_factory=dict, metadata=REST)


@dataclass(frozen=True)
class RunRecord:
    """run.json of a run.

    Args:
        foretell: version that began it.
        command: that began it.
        created: when, ISO 8601.
        objective: the metric that is searched, "val_acc".
        direction: which values of it are good.
        space: where it searches.
        strategy: what proposes networks.
        data: what they are trained on.
        recipe: how; None in damaged files.
        device: where.
        versions: of the packages that matter.
        options: the options of `Settings` that are in run.json, each under its own name beside
            the others; the rest of them are at their defaults.
    """

    foretell: str = field(default="", metadata=_FREE)
    command: tuple[str, ...] = field(default=(), metadata=_FREE)
    created: str = field(default="", metadata=_FREE)
    objective: str = "val_acc"
    direction: Literal["max", "min"] = "max"
    space: SpaceRecord = field(default_factory=SpaceRecord)
    strategy: StrategyRecord = field(default_factory=StrategyRecord)
    data: DataRecord = field(
        default_factory=DataRecord, metadata={"free": ("name", "notes", "columns", "counts.*")}
    )
    recipe: Recipe | None = field(default=None, metadata={"free": ("device", "threads", "graph")})
    device: str = field(default="", metadata=_FREE)
    versions: dict[str, str] = field(default_factory=dict, metadata=_FREE)
    options: Settings = field(default_factory=Settings)

    @classmethod
    def read(cls, raw: Mapping[str, Any], source: Path, notes: list[str] | None = None) -> Self:
        """The record of an object in the words of this format.

        Args:
            raw: from `upgrade`.
            source: the file, for messages.
            notes: None to raise at the first wrong value; a list takes a line for each of them,
                and its part of the record is empty.

        Raises:
            RunError: a value is of another type than was expected.
        """
        reader = Reader(source, notes)
        options: dict[str, Any] = {}
        for name, kind in SAVED.items():
            if name in raw:
                reader.into(options, name, kind, raw[name])
            if name in options:
                try:
                    sound(name, options[name])
                except SettingError as error:
                    del options[name]
                    reader.damaged(name, str(error))
        own = {key: value for key, value in raw.items() if key != "options"}
        return replace(reader.record(cls, own), options=Settings(**options))

    def to_dict(self) -> dict[str, Any]:
        """What run.json has."""
        own = {
            one.name: plain(getattr(self, one.name))
            for one in fields(self)
            if one.name != "options"
        }
        return {"format": FORMAT, **own, **saved(self.options)}


def _patterns() -> Iterator[str]:
    for one in fields(RunRecord):
        for part in one.metadata.get("free", ()):
            yield f"{one.name}.{part}" if part else one.name
    for name, known in OPTIONS.items():
        if known.free:
            yield from (name, f"{name}.*")


FREE = tuple(_patterns())


def changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Settings that differ though they may not, old and new value by name.

    What is empty (null, [], {}) is as good as absent. An option that run.json does not have is
    taken to be at its default: it came after the run. So did a setting of the strategy that
    run.json does not name. All settings of a study count.
    """
    study = "study" in then or "study" in now
    default = {} if study else saved(Settings())
    old, new = (_flat({**default, **one, **_recipe(one, study)}) for one in (then, now))
    free = () if study else FREE
    later = set() if study else {"space.source", *_settings(now)} - {*_settings(then), *old}
    return {
        key: (old.get(key), new.get(key))
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
        and not any(fnmatchcase(key, one) for one in free)
        and key not in later
    }


def _recipe(record: Mapping[str, Any], study: bool) -> dict[str, Any]:
    """The recipe of a run; what came after it is at its default."""
    recipe = record.get("recipe")
    return (
        {"recipe": {**Recipe().to_dict(), **recipe}}
        if isinstance(recipe, dict) and not study
        else {}
    )


def _settings(record: Mapping[str, Any]) -> Iterator[str]:
    """Names of the settings of a run's strategy that are written down, empty ones too."""
    strategy = record.get("strategy")
    return (f"strategy.{key}" for key in strategy) if isinstance(strategy, dict) else iter(())


def refused(path: Path, differ: Mapping[str, tuple[Any, Any]]) -> RunError:
    """The error for a run that cannot go on with other settings."""
    (key, (then, now)), *rest = differ.items()
    others = f" (also: {', '.join(name for name, _ in rest[:5])})" if rest else ""
    return RunError(
        f"the run in {path} has another {key}{others}",
        expected=short(then),
        got=short(now),
        hint="repeat the command with the old value, or choose another folder with --out",
    )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1, "c": []}} as {"a.b": 1}: what is empty is as good as absent."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value is not None and value != []:
            flat[prefix + key] = value
    return flat


# -- formats --------------------------------------------------------------------------------------


def upgrade(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of any known format in the words of this one; a step for each format between.

    >>> upgrade({"format": 1, "n_train": 8})["objective"]
    'val_acc'
    """
    now = dict(settings)
    while now["format"] in UPGRADES:
        now = UPGRADES[now["format"]](now)
    return now


def _from_1(settings: dict[str, Any]) -> dict[str, Any]:
    """Runs had no limits, costs, budgets, halving, verdict, clusters: all are at their defaults."""
    return {**settings, "format": 2}


def _from_2(settings: dict[str, Any]) -> dict[str, Any]:
    """The objective of runs was not written down; it follows from the task."""
    if "study" in settings:
        return {**settings, "format": 3}
    data = settings.get("data")
    regression = isinstance(data, dict) and data.get("task") == "regression"
    objective = "val_r2" if regression else "val_acc"
    return {**settings, "format": 3, "objective": objective, "direction": "max"}


UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1, 2: _from_2}


def known_format(settings: Any, source: Path) -> dict[str, Any]:
    """The object, if it is one and of a known format.

    Raises: RunError for all else.
    """
    known = (*UPGRADES, FORMAT)
    found = settings.get("format") if isinstance(settings, dict) else type(settings).__name__
    if isinstance(settings, dict) and type(found) is int and found in known:
        return settings
    raise RunError(
        f"{source} has a format that this foretell does not know",
        expected=" or ".join(map(str, known)),
        got=json.dumps(found) if len(json.dumps(found)) < 80 else "something else",
        hint="use the foretell that wrote it, or choose another folder with --out",
    )
