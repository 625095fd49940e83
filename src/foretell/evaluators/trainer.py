"""Real training as an evaluator: one row, one network, one result."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from foretell._files import sweep
from foretell._rng import derive
from foretell.errors import DataError, ForetellError, RunError, SettingError
from foretell.evaluators.base import Evaluator, OnEpoch, Result, TrialTimeout, pulse
from foretell.nets.devices import pick_device
from foretell.spaces.base import Rows, Space
from foretell.training import checkpoint, loop, scores, soundness
from foretell.training.data import Data, batches
from foretell.training.recipe import Recipe
from foretell.training.replay import beside
from foretell.training.usage import Parts

_TURN = threading.RLock()


class Trainer(Evaluator):
    """Builds the network of a row, trains it by a recipe, and reports its validation metrics.

    `evaluate` never reads the test split; `test` is the only one that does. Whatever goes wrong
    with one network (it cannot be built, runs out of memory, its loss is not a number) is a
    `Result` with `error`.

    Args:
        space: whose rows are trained, by `space.build(x, data.input_shape, data.n_outputs)`.
        data: what to learn, from `foretell.training.data.load`.
        recipe: how; the same for all rows.
        objective: a validation metric of `training.scores`; None for "val_acc" of classes,
            "val_map" of labels and "val_r2" of numbers.
        state_every_s: seconds between two writes of a half-trained network, at least; 0 writes it
            after every epoch.
        begin: gives the network of a row, with weights that it has already, such as `network` of
            a search with a supernet; None: the space builds it, with random ones.
    """

    def __init__(
        self,
        space: Space,
        data: Data,
        recipe: Recipe | None = None,
        *,
        objective: str | None = None,
        state_every_s: float = checkpoint.EVERY_S,
        begin: Callable[[Rows], nn.Module] | None = None,
    ) -> None:
        self.space = space.with_io(data.input_shape, data.n_outputs)
        self.data = data
        self.recipe = recipe or Recipe()
        self.state_every_s, self.begin = state_every_s, begin
        self.device, self.threads = self.recipe.device, self.recipe.threads
        pick_device(self.recipe.device)  # a wrong name fails here, not in every trial
        self.epochs = self.recipe.epochs
        self.objective = scores.objective(objective, data)

    def evaluate(
        self,
        x: Rows,
        seed: int = 0,
        *,
        epochs: int | None = None,
        state: Path | None = None,
        weights: Path | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> Result:
        """Train the row `x` and report its validation metrics, see `training.scores`.

        Args:
            x: shape (d,).
            seed: of weights, dropout, order and augmentation; equal seeds give equal results on
                a CPU.
            epochs: stop after this many and keep `state` for going on; the metrics are those so
                far, and no weights are written. None: all of the recipe's.
            state: a .safetensors file of the half-trained network. If it is there and of the same
                row, seed, data and recipe (but for device and threads), training goes on from it,
                and on a CPU with as many threads to the same bits; any other content is ignored.
                Written whole or not after epochs, at most every `state_every_s` seconds; a state
                that cannot be written stays an older one. It outlives the training: whoever asked
                for it removes it when the result is safe.
            weights: a .safetensors file to write the trained weights to, when all epochs are
                done; written whole or not.
            on_epoch: called after each epoch with its number, from 0, and its metrics.

        Returns: metrics, curves of all epochs so far, and the seconds of all attempts that went on
            from one another.

        Raises:
            SettingError: `epochs` is not a whole number from 1.
            TrialTimeout: the time of the trial is over.
            RunError: the weights cannot be written.
        """
        with self._alone(seed) as device:
            steps = self.training(
                x, seed, device, epochs=epochs, state=state, weights=weights, on_epoch=on_epoch
            )
            with beside(device):
                return loop.exhausted(steps)

    def training(
        self,
        x: Rows,
        seed: int,
        device: torch.device,
        *,
        epochs: int | None = None,
        state: Path | None = None,
        weights: Path | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> Generator[bool, None, Result]:
        """What `evaluate` does, a little at a time, so that several networks share a device.

        Whoever goes on with it sees to it that torch's generators are this training's own then,
        seeded before it began. Yields False while it only waits for the device.
        """
        if epochs is not None and (isinstance(epochs, bool) or int(epochs) != epochs or epochs < 1):
            raise SettingError("epochs", expected="a whole number from 1", got=epochs)
        start, parts = time.perf_counter(), Parts()
        kept = None
        try:
            for path in (weights, state):
                if path is not None:
                    sweep(path)
            model = self._build(x)
            yield True
            if state is None or not state.exists():
                self._sound(model, x, device)
                yield True
            if state is not None:
                kept = checkpoint.State(state, self._identity(x, seed), self.state_every_s)
            fit = yield from loop.training(
                model, self.data, self.recipe, seed, device, on_epoch,
                on_step=pulse, state=kept, until=epochs, parts=parts,
            )  # fmt: skip
            parts.to("save")
            if weights is not None and fit.ended:
                self._sound(model, x, device)  # training may have left something outside of them
                _write(model, weights)
        except (TrialTimeout, RunError):
            raise
        except Exception as error:
            result = Result(seed=seed, error=reason(error))
        else:
            usage = replace(fit.usage, parts=parts.seconds())
            result = Result(fit.metrics, fit.curve, seed=seed, usage=usage)
        seconds = time.perf_counter() - start + (kept.before if kept else 0.0)
        return replace(result, seconds=seconds)

    def identity(self) -> dict[str, Any]:
        """Recipe and data."""
        free = ("device", "threads", "graph")
        recipe = {k: v for k, v in self.recipe.to_dict().items() if k not in free}
        return {
            "recipe": recipe,
            "data": self.data.digest,
            "sizes": self.data.sizes,
            "input_shape": self.data.input_shape,
            **({} if self.begin is None else {"begin": getattr(self.begin, "__qualname__", "own")}),
        }

    def _identity(self, x: Rows, seed: int) -> dict[str, Any]:
        """All that the result of a training depends on."""
        return {
            "space": self.space.name,
            "arch": self.space.to_str(np.asarray(x)[None])[0],
            "seed": int(seed),
            **self.identity(),
        }

    def test(self, x: Rows, weights: Path | None = None) -> dict[str, float]:
        """Metrics of trained weights on the test split: "test_acc", "test_loss", ...

        Args:
            x: the row that was trained, shape (d,).
            weights: the file that `evaluate` wrote.

        Raises:
            DataError: the file does not hold the weights of this row's network.
        """
        if weights is None:
            raise DataError("test", expected="the file of trained weights", got=None)
        with self._alone(0) as device:
            model = self._build(x)
            try:
                checkpoint.read_model(model, weights)
            except Exception as error:
                raise DataError(
                    f"cannot read the weights {weights}",
                    expected=f"those of {self.space.to_str(np.asarray(x)[None])[0]}",
                    got=_line(error),
                ) from error
            return self._measure(model, "test", device)

    def validate(self, model: nn.Module, split: str = "val") -> dict[str, float]:
        """Metrics of a trained network on the validation split, as `evaluate` reports them.

        Args:
            model: moved to the recipe's device.
            split: "val", or "test" to compare a network that was read back with the one tested.
        """
        with self._alone(0) as device:
            return self._measure(model, split, device)

    def tested(self, model: nn.Module) -> NDArray[np.float64]:
        """What a trained network says of the test rows: scores, or standardised targets.

        Shapes: returns (n, n_outputs).
        """
        with self._alone(0) as device:
            loop.prepare(model, self.data, device)
            test = batches.Split(self.data, "test", device)
            out, _ = loop.outputs(model, test, self.data, self.recipe)
            return out.double().cpu().numpy()

    def _measure(self, model: nn.Module, part: str, device: torch.device) -> dict[str, float]:
        loop.prepare(model, self.data, device)
        split = batches.Split(self.data, part, device)
        metrics = loop.evaluate(model, split, self.data, self.recipe)
        return {f"{part}_{key}": value for key, value in metrics.items()}

    def _build(self, x: Rows) -> nn.Module:
        (row,) = self.space.check(np.asarray(x)[None])
        try:
            shape, n_outputs = self.data.input_shape, self.data.n_outputs
            model = self.begin(row) if self.begin else self.space.build(row, shape, n_outputs)
        except MemoryError:
            raise
        except Exception as error:
            if out_of_memory(error):
                raise
            raise BuildError(f"build failed with {type(error).__name__}: {_line(error)}") from error
        if not isinstance(model, nn.Module):
            raise BuildError("build", expected="an nn.Module", got=type(model).__name__)
        if trouble := soundness.unsized(model):
            raise BuildError(trouble.what, hint=trouble.todo)
        return model

    def _sound(self, model: nn.Module, x: Rows, device: torch.device) -> None:
        """Fail before training where what is trained could not be read back."""
        if soundness.ours(model):  # on a card, where this is done each look holds up others
            return
        loop.prepare(model, self.data, device)
        at = torch.arange(min(2, self.data.sizes[0]))
        inputs, _ = batches.resident(self.data, "train", device).batch(at)
        devices = [device] if device.type == "cuda" else []

        def again() -> nn.Module:
            other = self._build(x)
            loop.prepare(other, self.data, device)
            return other

        with torch.random.fork_rng(devices=devices):
            trouble = next(soundness.troubles(model, again, inputs), None)
        if trouble is not None:
            raise BuildError(trouble.what, hint=trouble.todo)

    @contextlib.contextmanager
    def _alone(self, seed: int) -> Iterator[torch.device]:
        """The recipe's device and threads, with torch's generators seeded; all put back after.

        Generators and number of threads are those of the whole process, so its threads take turns.
        """
        device = pick_device(self.recipe.device)
        devices = [torch.cuda.current_device()] if device.type == "cuda" else []
        if device.index is not None:
            devices = [device.index] * len(devices)
        with _TURN, torch.random.fork_rng(devices=devices):
            threads = torch.get_num_threads()
            torch.default_generator.manual_seed(derive(seed, "weights"))
            if device.type == "cuda":
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(derive(seed, "weights"))
            torch.set_num_threads(self.recipe.threads)
            try:
                yield device
            finally:
                torch.set_num_threads(threads)
                if device.type == "cuda":
                    torch.cuda.empty_cache()


class BuildError(ForetellError, RuntimeError):
    """A space's `build` did not give a network."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on a CPU or a GPU."""
    text = str(error).lower()
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError)
        and any(
            words in text
            for words in ("enough memory", "out of memory", "can't alloc", "alloc_failed")
        )
    )


def reason(error: BaseException) -> str:
    """Why a trial failed, in one line.

    >>> reason(MemoryError("64 GB"))
    'out of memory: 64 GB'
    >>> reason(ZeroDivisionError("division by zero"))
    'ZeroDivisionError: division by zero'
    """
    if out_of_memory(error):
        return f"out of memory: {_line(error)}"
    return (
        _line(error)
        if isinstance(error, ForetellError)
        else f"{type(error).__name__}: {_line(error)}"
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _write(model: nn.Module, path: Path) -> None:
    try:
        checkpoint.write_model(model, path)
    except OSError as error:
        raise RunError(
            f"cannot write the weights {path}: {error.strerror or error}",
            hint="make room or give write access, then run the same command again",
        ) from error
