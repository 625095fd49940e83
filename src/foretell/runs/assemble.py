"""From the options of a run to its parts: space, recipe, plan, where trials run, run.json."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from foretell import _catalog, predictors
from foretell._version import __version__
from foretell.costs.latency import Latency
from foretell.errors import SettingError, without_password
from foretell.evaluators.executors.ray import RayExecutor
from foretell.evaluators.trainer import Trainer
from foretell.evidence.parts.identity import space_digest
from foretell.nets import pretrained
from foretell.nets.devices import pick_device
from foretell.runs.events import Cost
from foretell.runs.former import Former
from foretell.runs.halving import Halving
from foretell.runs.journal import Journal
from foretell.runs.plan import Plan
from foretell.runs.record import DataRecord, RunRecord, SpaceRecord, StrategyRecord
from foretell.runs.settings import OPTIONS, SAVED, Settings, meant
from foretell.spaces.base import Costs, Space
from foretell.spaces.parts.limited import Limited
from foretell.spaces.parts.load import load as load_space
from foretell.spaces.parts.sources import plain_settings
from foretell.strategies import Strategy
from foretell.supernets import chain
from foretell.training import scores
from foretell.training.data import Data
from foretell.training.recipe import Recipe
from foretell.typed import Reader


@dataclass(frozen=True)
class Parts:
    """What the options of a run come to on some data.

    Args:
        settings: the options; those that are not said are as the run's folder has them.
        data: what the networks are trained on.
        whole: the space without limits.
        space: what is searched.
        recipe: of all trainings.
        latency: what measures milliseconds, where they matter.
        plan: what is computed.
        former: what the folder has settled.
    """

    settings: Settings
    data: Data
    whole: Space
    space: Space
    recipe: Recipe
    latency: Latency | None
    plan: Plan
    former: Former

    @classmethod
    def of(cls, settings: Settings, data: Data) -> Parts:
        """All parts; nothing is written.

        Raises:
            SettingError: a setting is not valid.
            RunError: run.json of the folder is damaged.
        """
        whole = _space(settings).with_io(data.input_shape, data.n_outputs)
        former = Former.of(_folder(settings, data, whole))
        recipe = _recipe(settings, former)
        settings = dataclasses.replace(
            settings, metric=_metric(settings, data, former), halving=_halving(settings, former)
        )
        if settings.pretrained is not None:  # what is wrong with it is told before the search
            io = data.input_shape, data.n_outputs
            pretrained.build(settings.pretrained, *io, data.mean.tolist(), data.std.tolist())
        limits: dict[str, float] = meant(settings, "limits")
        latency = _latency(settings, recipe, limits)
        space = Limited.of(whole, limits, latency) if limits or latency else whole
        strategy = _strategy(settings, space, recipe, data, former)
        plan = _plan(settings, space, limits, strategy)
        return cls(settings, data, whole, space, recipe, latency, plan, former)

    @property
    def folder(self) -> Path:
        """Where the run lives."""
        return _folder(self.settings, self.data, self.whole)

    def record(self) -> RunRecord:
        """What run.json has."""
        spec, space, data = self.settings.space, self.whole, self.data
        options = {name: getattr(self.settings, name) for name in SAVED}
        options |= {"name": data.name, "optuna": _safe(self.settings.optuna)}
        evaluator = Trainer(space, data, self.recipe, objective=self.settings.metric)
        return RunRecord(
            foretell=__version__,
            command=tuple(map(without_password, sys.argv)),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            objective=evaluator.objective,
            direction=evaluator.direction,
            space=SpaceRecord(
                name=space.name,
                spec=spec if isinstance(spec, str) else space.name,
                settings=plain_settings(space),
                size=space.size,
                d=space.d,
                closed_form_costs=space.closed_form_costs,
                source=""
                if type(space).__module__.startswith("foretell.") and space._build is None
                else space_digest(space),
            ),
            strategy=StrategyRecord(
                _name(self.plan.strategy, self.former), _plain(self.plan.strategy)
            ),
            data=Reader("the data's description").record(DataRecord, data.describe()),
            recipe=self.recipe,
            device=str(pick_device(self.recipe.device)),
            versions=versions(),
            options=Settings(**options),
        )

    def cluster(self) -> AbstractContextManager[Executor | None]:
        """Where trials run, if not in local processes; what was made for this run is closed."""
        mine = self.settings
        if mine.backend == "local":
            return nullcontext(mine.executor)
        return RayExecutor(mine.address, meant(mine, "resources"), mine.max_retries)


def _folder(settings: Settings, data: Data, whole: Space) -> Path:
    if settings.out:
        return Path(settings.out)
    words = f"{data.name}-{whole.name}-seed{settings.seed}"
    return Path("runs") / re.sub(r"[^\w.-]+", "-", words)


def _space(settings: Settings) -> Space:
    given = dict(settings.space_settings or {})
    if isinstance(settings.space, str):
        space: Space = load_space(settings.space, **given)
        return space
    if not isinstance(settings.space, Space):
        raise SettingError(
            "space", expected="a name, 'file.py:Name' or a Space", got=type(settings.space).__name__
        )
    if given:
        raise SettingError("space_settings", expected="none with a Space that is made", got=given)
    return settings.space


def _recipe(settings: Settings, former: Former) -> Recipe:
    given, epochs = settings.recipe, settings.epochs
    recipe = given if isinstance(given, Recipe) else Recipe.from_dict(given or {})
    recipe = recipe if epochs is None else dataclasses.replace(recipe, epochs=epochs)
    said = {*(recipe.to_dict() if isinstance(given, Recipe) else given or {})}
    said |= set() if epochs is None else {"epochs"}
    return dataclasses.replace(recipe, **former.part("recipe", recipe.to_dict(), said))


def _metric(settings: Settings, data: Data, former: Former) -> str | None:
    usual = scores.objective(settings.metric, data)
    then = former.one("objective", usual, said=settings.metric is not None)
    with contextlib.suppress(SettingError):  # of data for another task
        return settings.metric if then == usual else scores.objective(then, data)
    return settings.metric


def _halving(settings: Settings, former: Former) -> Halving | None:
    halving: Halving | None = meant(settings, "halving")
    if halving is None or isinstance(settings.halving, Halving):
        return halving
    said = {"kind", *(settings.halving if isinstance(settings.halving, Mapping) else ())}
    return Halving(**former.part("halving", dataclasses.asdict(halving), said))


def _latency(settings: Settings, recipe: Recipe, limits: Mapping[str, float]) -> Latency | None:
    if "latency_ms" not in (*limits, *settings.minimize):
        if settings.latency:
            raise SettingError(
                "latency is measured for limits or objectives alone",
                hint="add latency_ms to limits or to minimize",
            )
        return None
    device = str(pick_device(recipe.device))
    try:
        return Latency(**{"device": device, "seed": settings.seed, **meant(settings, "latency")})
    except TypeError as error:
        raise SettingError(f"latency: {error}") from error


def _plan(
    settings: Settings, space: Space, limits: Mapping[str, float], strategy: Strategy
) -> Plan:
    minimize: tuple[str, ...] = meant(settings, "minimize")
    costs = tuple(dict.fromkeys((*limits, *minimize)))
    space.measure(space.sample(0, 0), costs)  # known?
    return Plan(
        strategy=strategy,
        seed=settings.seed,
        n_train=settings.n_train,
        networks=settings.n_train + settings.top_k,
        compare_random=settings.compare_random,
        budget=meant(settings, "budget"),
        halving=meant(settings, "halving"),
        replicates=settings.replicates,
        minimize=minimize,
        costs=tuple(name for name in costs if name not in Costs._fields),
    )


def _strategy(
    settings: Settings, space: Space, recipe: Recipe, data: Data, former: Former
) -> Strategy:
    name = settings.strategy
    if isinstance(name, Strategy):
        return name
    if name is None:
        name = former.one("strategy.name", OPTIONS["strategy"].new)
        if name == chain.Ranked.__name__:  # by a supernet that has been trained
            return former.over(chain.Ranked(), _plain(chain.Ranked()), ())
        if name not in _catalog.names("strategy"):  # of the user's own: only they can make it
            name = OPTIONS["strategy"].new
    if name.startswith(chain.PREFIX):
        method = name.removeprefix(chain.PREFIX)
        return chain.ranked(
            _folder(settings, data, space.whole) / "supernet", space, data, method,
            settings.n_train + settings.top_k, settings=settings.strategy_settings,
            seed=settings.seed, device=recipe.device,
        )  # fmt: skip
    row = _catalog.row("strategy", name)
    kind = row.load()
    known = {entry.name for entry in dataclasses.fields(kind)}
    mine = _known_to_run(settings, kind.asynchronous)
    said = {name: value for name, value in mine.items() if name in known}
    said |= settings.strategy_settings or {}
    scaled = kind.scaled(settings.n_train + settings.top_k)
    values = {**row.recipe, **scaled, **said}
    unknown = sorted(set(values) - known)
    if unknown:
        raise SettingError(
            f"strategy {name!r} has no setting {unknown[0]!r}",
            expected="one of " + ", ".join(sorted(known)) if known else "no settings",
        )
    strategy: Strategy = kind(**values)
    if former.named(name):
        grown = {} if former.has(settings.n_train, settings.top_k) else scaled
        strategy = former.over(strategy, _plain(strategy), {*said, *grown})
    if isinstance(predictor := getattr(strategy, "predictor", None), str):
        predictors.get(predictor, space=space)  # a wrong name is told at once
    return strategy


def _known_to_run(settings: Settings, asynchronous: bool) -> dict[str, Any]:
    """What other options of a run say of settings that a strategy may have."""
    mine: dict[str, Any] = {"n_train": settings.n_train}
    if settings.predictor != Settings.predictor:  # else the strategy's own
        mine |= {"predictor": settings.predictor, "predictor_settings": {}}
    mine |= {"minimize": tuple(settings.minimize)} if settings.minimize else {}
    halving = meant(settings, "halving")
    if asynchronous and halving is not None and halving.kind == "sync":
        mine |= {"batch": max(settings.top_k, 1)}  # only those of one round are compared
    return mine


def _safe(url: str | None) -> str | None:
    return None if url is None else without_password(str(url))


def _name(strategy: Strategy, former: Former) -> str:
    kind = type(strategy)
    target = f"{kind.__module__}:{kind.__name__}"
    rows = [row for row in _catalog.KINDS["strategy"] if row.target == target]
    for row in rows:  # a run keeps its name where the catalog's recipe of it has changed
        made = {name: value for name, value in _plain(strategy).items() if name in row.recipe}
        if former.named(row.name) and former.agrees("strategy", made):
            return row.name
    mine = [row for row in rows if _is(strategy, row)]
    return max(mine, key=lambda row: len(row.recipe)).name if mine else kind.__name__


def _is(strategy: Strategy, row: _catalog.Row) -> bool:
    """Whether a strategy has all that makes a recipe; how many are random is the run's to say."""
    made = {name: value for name, value in row.recipe.items() if name != "n_train"}
    return all(getattr(strategy, name) == value for name, value in made.items())


def _plain(strategy: Strategy) -> dict[str, Any]:
    names = getattr(strategy, "__dataclass_fields__", ())
    settings = {name: getattr(strategy, name) for name in names}
    plain: dict[str, Any] = json.loads(json.dumps(settings, default=repr))
    return plain


def versions() -> dict[str, str]:
    """Of Python and the packages that results depend on."""
    names = ("torch", "numpy", "scikit-learn")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def remember(latency: Latency, journal: Journal) -> None:
    """Measured latencies go to the journal, and what it has is not measured again."""
    for cost in journal.of(Cost):
        if cost.name == "latency_ms":
            for arch, *found in zip(cost.archs, cost.values, cost.spreads, strict=True):
                value, spread = (math.nan if one is None else one for one in found)
                latency.known[arch] = value, spread

    def write(archs: Sequence[str], values: Sequence[float], spreads: Sequence[float]) -> None:
        numbers = (tuple(map(float, some)) for some in (values, spreads))
        journal.append(Cost("latency_ms", tuple(archs), *numbers))

    latency.on_measured = write
