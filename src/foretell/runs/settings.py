"""All options of a run, each in one place: `NAS`, the command line and run.json follow from it."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretell.errors import SettingError
from foretell.runs.options import Flag, Option, option, words
from foretell.typed import plain

if TYPE_CHECKING:
    from foretell.runs.budget import Budget
    from foretell.runs.halving import Halving
    from foretell.search.strategy import Strategy
    from foretell.spaces.base import Space
    from foretell.training.recipe import Recipe


def _mapping(given: Mapping[str, Any] | None) -> dict[str, Any]:
    return dict(given or {})


def _limits(given: Mapping[str, float] | str | None) -> dict[str, float]:
    from foretell.spaces.parts.limited import parse_limits

    return parse_limits(given) if isinstance(given, str) else dict(given or {})


def _minimize(given: Sequence[str]) -> tuple[str, ...]:
    if len(set(given)) < len(given):
        raise SettingError("minimize", expected="different costs", got=tuple(given))
    return tuple(given)


def _budget(given: Any) -> Budget:
    from foretell.runs.budget import Budget

    return Budget.of(given)


def _halving(given: Any) -> Halving | None:
    from foretell.runs.halving import Halving

    return Halving.of(given)


def _one_halving(
    halving: str | None, eta: int | None, min_epochs: int | None
) -> dict[str, Any] | None:
    given = {"kind": halving, "eta": eta, "min_epochs": min_epochs}
    return {name: value for name, value in given.items() if value} if halving else None


def _one_latency(latency_cmd: str | None, latency_fit: int | None) -> dict[str, Any]:
    given = {"command": latency_cmd, "fit": latency_fit}
    return {name: value for name, value in given.items() if value}


@dataclass(repr=False, eq=False)
class Settings:
    """The options of a run; a subclass has them as arguments and says so where its docstring has
    `{options}`.

    A field is all that an option needs: the command line, `NAS`, what run.json has and the check
    on continuing follow from it.
    """

    space: str | Space = option(
        "mobile",
        'a catalog name, "file.py:Name", or a `Space`.',
        Flag("--space", "A catalog name, or file.py:Name for your own."),
    )
    n_train: int = option(
        24,
        "N, networks trained before the first prediction.",
        Flag("--train", "N: random networks to train first.", int),
        saved=int,
        low=1,
    )
    top_k: int = option(
        5,
        "K, networks trained after it.",
        Flag("--top", "K: best predicted networks to train.", int),
        saved=int,
        low=0,
    )
    epochs: int | None = option(
        None,
        "of each training; None for the recipe's.",
        Flag("--epochs", "Epochs of each training.", int, low=1),
    )
    workers: int | None = option(
        None,
        "networks that train at the same time: in local processes, on a single CUDA device in this "
        "one; 0 trains in this process, one by one. None for 2 processes, and on a device for as "
        "many as pay.",
        Flag("--workers", "Networks trained at the same time.", int, low=1),
        saved=int | None,
        free=True,
        low=0,
    )
    strategy: str | Strategy | None = option(
        None,
        """a catalog name, or a `Strategy`; None for `foresight`, and in a folder that holds a run
        for the strategy of that. After the first N, `foresight` asks for one network at a time,
        as workers become free; `neural-predictor` for all K in one round.""",
        Flag("--strategy", "See `foretell list strategies`; a run keeps its own."),
        new="foresight",
    )
    strategy_settings: Mapping[str, Any] | None = option(
        None,
        "arguments of a strategy given by name.",
        Flag("--strategy-set", "Setting of the strategy, e.g. population=20.", dict),
    )
    predictor: Any = option(
        "auto",
        "a catalog name, or an unfitted regressor on rows, for strategies that use one.",
        Flag("--predictor", "See `foretell list predictors`."),
        means=lambda given: given if isinstance(given, str) else repr(given),
        saved=str,
    )
    seed: int = option(
        0,
        "of everything random.",
        Flag("--seed", "Seed of everything random.", int),
        saved=int,
        low=0,
    )
    out: str | Path | None = option(
        None,
        "folder of the run; None for runs/<data>-<space>-seed<seed> below the current one.",
        Flag("--out", "Folder of the run; the same command continues it.", Path),
    )
    compare_random: bool = option(
        False,
        """also train what random search would have, with the same seed and number of networks,
        and choose and test its best in the same way: N are the same, K are new.""",
        Flag("--compare-random", "Train K more random networks, as an honest baseline.", bool),
        means=bool,
        saved=bool,
    )
    metric: str | None = option(
        None,
        """what the search looks for, "val_balanced_acc", "val_f1", "val_auroc", ...; None for
        "val_acc" of classes, "val_map" of labels, "val_r2" of numbers.""",
        Flag("--metric", "Looked for: val_balanced_acc, val_f1, val_auroc, ..."),
        saved=str | None,
        free=True,  # the objective is not
    )
    recipe: Recipe | Mapping[str, Any] | None = option(
        None,
        "a `Recipe`, or a dict of its settings, for all trainings.",
        Flag("--set", "Training setting, e.g. --set lr=0.05 --set batch_size=64.", dict),
    )
    executor: Executor | None = option(
        None, "any `concurrent.futures.Executor` to train on instead of local processes."
    )
    name: str | None = option(None, "how the data is called in reports.", saved=str, free=True)
    space_settings: Mapping[str, Any] | None = option(
        None,
        'arguments of a space given by name, e.g. {"preset": "base"}.',
        Flag("--space-set", "Setting of the space, e.g. --space-set preset=base.", dict),
    )
    limits: Mapping[str, float] | str | None = option(
        None,
        """what no network may exceed, as "params=1M,flops=50M,latency_ms=5" or by name; the search
        does not see the others.""",
        Flag("--max", "No network above, e.g. params=1M,flops=50M,latency_ms=5."),
        means=_limits,
        saved=dict[str, float],
    )
    minimize: Sequence[str] = option(
        (),
        """costs to keep small beside a high objective ("params", "flops", "latency_ms"): the
        strategy looks for the whole front, pareto.csv has it.""",
        Flag("--minimize", "Costs to keep small as well: params, flops, latency_ms.", default=""),
        join=words,
        means=_minimize,
        saved=tuple[str, ...],
    )
    latency: Mapping[str, Any] | None = option(
        None,
        """settings of `foretell.costs.latency.Latency`, e.g. {"command": ..., "fit": 50}.""",
        Flag(
            "--latency-cmd",
            "Your command that prints milliseconds; {onnx}, {pt2}, {arch}, {json}.",
        ),
        Flag(
            "--latency-fit",
            "Measure so many networks, predict the latency of the rest.",
            int,
            default=0,
            low=0,
        ),
        join=_one_latency,
        means=_mapping,
        saved=dict[str, Any],
    )
    budget: Budget | Mapping[str, Any] | str | None = option(
        None,
        'when to stop before that, as "trials=50,epochs=300,train=2h,wall=30m" or by name.',
        Flag("--budget", "Stop at, e.g. trials=50,epochs=300,train=2h,wall=30m."),
        means=_budget,
        saved=dict[str, float | None],
        free=True,
    )
    halving: Halving | Mapping[str, Any] | str | None = option(
        None,
        '"sync" or "asha" (or a `Halving`): networks that start badly are stopped early.',
        Flag("--halving", "Stop bad networks early: sync, or asha (no worker waits)."),
        Flag("--eta", "Halving: one in ETA goes on.", int, default=3, low=2),
        Flag("--min-epochs", "Halving: the first rung.", int, default=1, low=1),
        join=_one_halving,
        means=_halving,
        saved=dict[str, Any] | None,
    )
    replicates: int = option(
        0,
        """how often the winner and the space's hand-made network are trained again with other
        seeds, for the verdict.""",
        Flag("--replicates", "Train winner and hand-made network again, with R seeds.", int),
        saved=int,
        free=True,
        low=0,
    )
    backend: str = option(
        "local",
        '"local", or "ray".',
        Flag("--backend", "local, or ray."),
        saved=str,
        free=True,
        among=("local", "ray"),
    )
    address: str | None = option(
        None,
        "of the Ray cluster; None for one on this machine.",
        Flag("--address", "Ray cluster, e.g. auto; none: one on this machine."),
        saved=str | None,
        free=True,
    )
    resources: Mapping[str, float] | None = option(
        None,
        'of one trial as Ray says them, e.g. {"num_gpus": 0.5}.',
        Flag("--resource", "Of one trial, as Ray says it, e.g. num_gpus=0.5.", dict),
        means=_mapping,
        saved=dict[str, Any],
        free=True,
    )
    timeout_s: float | None = option(
        None,
        "seconds that one attempt at a network may take.",
        Flag("--timeout", "Seconds that one attempt at a network may take.", float),
        saved=float | None,
        free=True,
    )
    memory_gb: float | None = option(
        None,
        "memory that one network may take, in gigabytes (10^9 bytes).",
        Flag("--memory-gb", "Memory that one network may take, in GB.", float),
        saved=float | None,
        free=True,
    )
    max_retries: int = option(
        1,
        "how often a network is tried again whose worker died or took too long.",
        Flag("--max-retries", "Tries more when a worker died or a network took too long.", int),
        saved=int,
        free=True,
        low=0,
    )
    pretrained: str | None = option(
        None,
        """of images: "timm:NAME", or "timm:NAME@FILE.safetensors", a network whose trained weights
        are on this machine; it is fine-tuned for as many seconds as the search trained, and
        stands beside the winner.""",
        Flag("--pretrained", "Rival with trained weights: timm:NAME, or timm:NAME@FILE."),
        saved=str | None,
        free=True,
    )
    log: Sequence[str] = option(
        (),
        'trackers that hear of the run: "csv", "tensorboard", "mlflow", "wandb".',
        Flag("--log", "csv, tensorboard, mlflow or wandb; several allowed.", list[str]),
        join=lambda names: tuple(names or ()),
        means=tuple,
        saved=tuple[str, ...],
        free=True,
    )
    optuna: str | None = option(
        None,
        "URL of an Optuna storage that gets all networks as trials of a study.",
        Flag("--optuna", "Optuna storage that mirrors the run, e.g. sqlite:///x.db."),
        saved=str | None,
        free=True,
    )

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        doc = cls.__doc__ or ""
        cls.__doc__ = doc.replace("        {options}", textwrap.indent(described(), " " * 8))


OPTIONS: dict[str, Option] = {
    one.name: one.metadata["option"] for one in dataclasses.fields(Settings)
}
SAVED = {name: one.saved for name, one in OPTIONS.items() if one.saved is not None}


def meant(settings: Settings, name: str) -> Any:
    """The value that counts of an option: that of "budget" is a `Budget`, however it was said.

    Raises: SettingError where it says nothing that is valid.
    """
    return OPTIONS[name].means(getattr(settings, name))


def sound(name: str, value: Any) -> None:
    """Raises: SettingError for a value of an option that is not valid by itself."""
    OPTIONS[name].check(name, value)
    OPTIONS[name].means(value)


def check(settings: Settings) -> None:
    """Raises: SettingError naming the first option that is not valid by itself, or whose
    value does not go with another."""
    for name, one in OPTIONS.items():
        one.check(name, getattr(settings, name))
    if settings.executor is not None and not isinstance(settings.executor, Executor):
        raise SettingError(
            "executor",
            expected="a concurrent.futures.Executor",
            got=type(settings.executor).__name__,
        )
    if settings.backend == "local" and (settings.address or settings.resources):
        raise SettingError(
            "address and resources are those of a Ray cluster", hint="set backend='ray'"
        )
    if settings.backend == "ray" and settings.executor is not None:
        raise SettingError("executor", expected="none with backend='ray'", got=settings.executor)


def saved(settings: Settings) -> dict[str, Any]:
    """What run.json has of the options, JSON-able."""
    return {name: plain(meant(settings, name)) for name in SAVED}


def flags() -> Iterator[tuple[str, Option, Flag]]:
    """Name, option and flag of all that the command line has, in the order of the fields, each
    with its help, default and smallest number."""
    defaults = {one.name: one.default for one in dataclasses.fields(Settings)}
    for name, one in OPTIONS.items():
        for flag in one.flags:
            several = flag.kind in (dict, list[str])
            own = len(one.flags) == 1 and flag.default is None and not several
            full = dataclasses.replace(
                flag,
                help=flag.help or one.doc,
                default=(one.new or defaults[name]) if own else flag.default,
                low=one.low if flag.low is None else flag.low,
            )
            yield name, one, full


def from_flags(said: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a run from the flags that are said, by the words of these; no others."""
    return {
        name: one.join(*(flag.read(said.get(flag.word)) for flag in one.flags))
        for name, one in OPTIONS.items()
        if any(flag.word in said for flag in one.flags)
    }


def described() -> str:
    """Names and descriptions of the options, as docstrings have them."""
    return "\n".join(
        textwrap.fill(f"{name}: {one.doc}", 88, subsequent_indent="    ")
        for name, one in OPTIONS.items()
    )
