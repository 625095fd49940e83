"""Latency: what one forward pass takes, measured here, by a command, or foretold."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import math
import time
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.model_selection import KFold
from torch import nn

from foretell._rng import derive, stream
from foretell.costs.command import check_command, run_command
from foretell.errors import ForetellError, SettingError, SpaceError
from foretell.metrics import kendall
from foretell.nets.devices import pick_device
from foretell.spaces.base import Rows, Space
from foretell.spaces.parts.reason import reason

Floats = NDArray[np.float64]
OnMeasured = Callable[[list[str], list[float], list[float]], None]

_FEWEST = 10  # passes, and rows to fit on
_BUSY = 0.2  # spread over median of machines that do something else
_SURE = 0.01  # of the median: half the interval for it that is good enough to stop


@dataclass
class Latency:
    """Milliseconds of a network's forward pass, in evaluation mode and without gradients.

    Measured is the median of passes on one random batch, after a warm-up. Passes are repeated
    until the interval of about 95 % for the median, +- 1.57 q / sqrt(passes) with the
    inter-quartile range q, is within 1 % of it, or `repeats` or `most_s` are used up; q is the
    spread. On CUDA, events around each pass are synchronised. Weights are random: they do not
    matter for time.

    With `fit=N`, N random rows are measured at the first question, a regression of log
    milliseconds on the decisions (and on log parameters and flops, where they have a closed form)
    is fitted, and every answer is its prediction: quick enough for whole spaces. `note` has its
    cross-validated error.

    A network that cannot be built, exported or measured counts as NaN, and `failed` says why; the
    first of all raises, as then nothing will work.

    Args:
        batch: examples in a pass.
        threads: of torch while it is measured; put back afterwards.
        warmup: passes before the first that counts.
        repeats: most passes that count.
        most_s: seconds after which no further pass of a network starts, once there are 10.
        device: "cpu", "cuda", "cuda:1", or "auto".
        command: measures instead of this process: a program and its arguments, in which {onnx} and
            {pt2} become a file with the network (for `batch` examples), {arch} its string and
            {json} its decisions. The last number that it prints is milliseconds.
        timeout_s: for one call of the command.
        fit: networks to measure for a prediction of all others, from 10; 0 to measure every one.
        seed: of the rows to fit on.
        known: what has been measured already, arch -> (ms, spread), all in one space with one
            input shape; it grows.
        on_measured: is told archs, milliseconds and spreads of what was measured just now.

    >>> from foretell.spaces import get
    >>> latency, space = Latency(repeats=10), get("tabular", input_shape=(8,))
    >>> ms = latency(space, space.sample(2, rng=0))
    >>> bool((ms > 0).all()), latency.note[:40]
    (True, 'latency of 2 networks measured (batch 1,')
    """

    batch: int = 1
    threads: int = 1
    warmup: int = 5
    repeats: int = 100
    most_s: float = 3.0
    device: str = "cpu"
    command: str | None = None
    timeout_s: float = 300.0
    fit: int = 0
    seed: int = 0
    known: MutableMapping[str, tuple[float, float]] = field(default_factory=dict)
    on_measured: OnMeasured | None = None
    failed: dict[str, str] = field(default_factory=dict, init=False)
    error: tuple[float, float] | None = field(default=None, init=False)  # median, tau, when fitted
    _model: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, low, whole in (
            ("batch", 1, True), ("threads", 1, True), ("warmup", 0, True), ("fit", 0, True),
            ("repeats", 1, True), ("most_s", 0, False), ("timeout_s", 0, False),
        ):  # fmt: skip
            value = getattr(self, name)
            kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
            if isinstance(value, bool) or not isinstance(value, kinds) or not value >= low:
                kind = "a whole number" if whole else "a number"
                raise SettingError(
                    f"latency, {name}", expected=f"{kind} from {low}", got=repr(value)
                )
        if 0 < self.fit < _FEWEST:
            raise SettingError("latency, fit", expected=f"0, or at least {_FEWEST}", got=self.fit)
        if self.command is not None:
            check_command(self.command)

    @property
    def quick(self) -> bool:
        """Whether milliseconds of whole arrays are predicted rather than measured one by one."""
        return self.fit > 0

    @property
    def settings(self) -> dict[str, Any]:
        """What its answers depend on, for a run's record."""
        names = ("batch", "threads", "warmup", "repeats", "most_s", "device", "command", "fit")
        return {name: getattr(self, name) for name in names}

    def anew(self) -> Latency:
        """The same settings with nothing known, for other networks."""
        return dataclasses.replace(self, known={})

    def __call__(
        self,
        space: Space,
        X: ArrayLike,
        draw: Callable[[int, np.random.Generator], Rows] | None = None,
    ) -> Floats:
        """Milliseconds of each row: predicted with `fit`, else measured. Shapes: (n, d) to (n,).

        Args:
            space: what builds the networks, for its `input_shape`.
            X: rows (n, d).
            draw: gives the rows to fit on; None for `space.sample`.

        Raises:
            SpaceError: not a single network could be measured.
            SettingError: `device` or `command` is of no use.
        """
        rows = space.check(X)
        if not self.quick or not len(rows):
            return self.measured(space, rows)[0]
        if self._model is None:
            self._model = self._fitted(space, draw or space.sample)
        milliseconds: Floats = np.exp(self._model.predict(rows))
        return milliseconds

    def measured(self, space: Space, X: ArrayLike) -> tuple[Floats, Floats]:
        """Measured milliseconds and their spreads, NaN where it failed; each row only once.

        Spreads are inter-quartile ranges, 0 for what a command says. Shapes: (n, d) to two (n,).

        Raises: as calling it does.
        """
        rows = space.canonical_form(space.check(X))
        archs = space.to_str(rows)
        for arch, row in zip(archs, rows, strict=True):
            if arch in self.known or arch in self.failed:
                continue
            try:
                self.known[arch] = self._measure(space, row, arch)
            except Exception as error:
                said = error.text if isinstance(error, ForetellError) else reason(error)
                if not self.known:
                    kind = type(error) if isinstance(error, SettingError) else SpaceError
                    raise kind(f"the latency of {arch} cannot be measured: {said}") from error
                self.failed[arch] = said
                continue
            if self.on_measured is not None:
                self.on_measured([arch], *([value] for value in self.known[arch]))
        pairs = [self.known.get(arch, (math.nan, math.nan)) for arch in archs]
        table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    @property
    def note(self) -> str:
        """What was measured, how sure it is and what failed, in one line."""
        if not self.known:
            return "no latency measured"
        ms, spread = np.array(list(self.known.values())).T
        how = f"command {self.command}" if self.command else self.device
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        text = f"latency of {len(ms)} networks measured (batch {self.batch}, {threads}, {how})"
        if spread.any():
            share = float(np.median(spread / ms))
            text += f", median spread {100 * share:.1f} %"
            text += ": the machine was busy, measure when nothing else runs" * (share > _BUSY)
        if self.error:
            text += (
                f"; that of others is predicted, median error {100 * self.error[0]:.1f} %, "
                f"tau {self.error[1]:.2f} (cross-validated)"
            )
        if self.failed:
            arch, why = next(iter(self.failed.items()))
            text += f"; {len(self.failed)} could not be measured, such as {arch}: {why}"
        return text

    def __getstate__(self) -> dict[str, Any]:
        # a copy in another process has nobody to tell
        return {**vars(self), "on_measured": None}

    # -- measuring --------------------------------------------------------------------------------

    def _measure(self, space: Space, row: Rows, arch: str) -> tuple[float, float]:
        device = pick_device("cpu" if self.command else self.device)
        with alone(device, self.threads):
            network = space.build(row, space.input_shape, space.n_outputs)
            if not isinstance(network, nn.Module):
                raise SpaceError(
                    f"build of space {space.name!r}",
                    expected="an nn.Module",
                    got=type(network).__name__,
                )
            network = network.eval().to(device)
            example = torch.randn(self.batch, *space.input_shape).to(device)
            if self.command is not None:
                facts = {"arch": arch, "json": space.decode(row)}
                return run_command(self.command, network, example, facts, self.timeout_s), 0.0
            once = partial(_cuda_ms if device.type == "cuda" else _cpu_ms, network, example)
            return self.repeated(once)

    def repeated(self, once: Callable[[], float]) -> tuple[float, float]:
        """Median and inter-quartile range of calls of `once`."""
        for _ in range(self.warmup):
            once()
        times: list[float] = []
        end = time.perf_counter() + self.most_s
        while len(times) < self.repeats:
            times.append(once())
            if len(times) < _FEWEST:
                continue
            low, median, high = np.percentile(times, (25, 50, 75))
            half = 1.57 * (high - low) / math.sqrt(len(times))
            if half <= _SURE * median or time.perf_counter() > end:
                break
        low, median, high = np.percentile(times, (25, 50, 75))
        return float(median), float(high - low)

    # -- predicting -------------------------------------------------------------------------------

    def _fitted(self, space: Space, draw: Callable[[int, np.random.Generator], Rows]) -> Any:
        from foretell import predictors

        X = draw(self.fit, stream(self.seed, "latency"))
        X = X[np.sort(np.unique(space.row_key(X), return_index=True)[1])]
        ms, _ = self.measured(space, X)
        X, y = X[ms > 0], np.log(ms[ms > 0])
        if len(X) < _FEWEST:
            raise SettingError(
                f"latency, fit={self.fit}",
                expected=f"at least {_FEWEST} different networks that can be measured",
                got=f"{len(X)}",
                hint="measure each network: fit=0",
            )
        encoding = ("one-hot", "size") if space.closed_form_costs else ("one-hot",)
        model = predictors.get(
            "bayes-lin", space=space, encoding=encoding, target="value", random_state=self.seed
        )
        said = np.zeros(len(y))
        folds = KFold(5, shuffle=True, random_state=derive(self.seed, "latency", "folds"))
        for train, test in folds.split(X):
            said[test] = clone(model).fit(X[train], y[train]).predict(X[test])
        self.error = float(np.median(np.abs(np.expm1(said - y)))), kendall(y, said)
        return model.fit(X, y)


@contextlib.contextmanager
def alone(device: torch.device, threads: int) -> Iterator[None]:
    """No gradients, no collection of garbage, own threads and random state; put back after."""
    before, collecting = torch.get_num_threads(), gc.isenabled()
    devices = [device.index or torch.cuda.current_device()] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        torch.default_generator.manual_seed(0)
        torch.set_num_threads(threads)
        gc.disable()
        try:
            yield
        finally:
            torch.set_num_threads(before)
            if collecting:
                gc.enable()


def _cpu_ms(network: nn.Module, example: torch.Tensor) -> float:
    start = time.perf_counter()
    network(example)
    return 1e3 * (time.perf_counter() - start)


def _cuda_ms(network: nn.Module, example: torch.Tensor) -> float:
    event: Any = torch.cuda.Event
    with torch.cuda.device(example.device):
        start, end = (event(enable_timing=True) for _ in range(2))
        start.record()
        network(example)
        end.record()
        torch.cuda.synchronize()
    return float(start.elapsed_time(end))
