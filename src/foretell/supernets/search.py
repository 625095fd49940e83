"""A search by shared weights as one estimator: `fit` on data, `best_`, `score` of any row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from foretell._rng import derive
from foretell.errors import DataError
from foretell.spaces.base import Rows, Space
from foretell.supernets.inherit import inherit
from foretell.supernets.loop import Run
from foretell.supernets.method import Method, warnings
from foretell.supernets.records import Record
from foretell.supernets.wrapper import Alone, Member, Wrapper
from foretell.training import statistics
from foretell.training.data import Data, load

OnRecord = Callable[[str, Record], None]


class SupernetSearch:
    """Trains one supernet, or several, and chooses an architecture.

    Args:
        space: the space; it needs a `mixture` and a `supernet`.
        method: the parts.
        wrapper: which supernets are trained, one after the other: one alone, one for each option
            of a site (few-shot), one for each weight decay (R-DARTS).
        epochs: of each search; None: those of the method.
        random_state: seed of everything random.
        device: "auto", "cpu", "cuda", ...
        folder: where states are kept, so that a search that was broken off goes on; None: nowhere.
        measure: epochs between two measurements of curvature; 0 for none.
        look: batches that the records of an epoch look at; None for all.

    Attributes: `best_` the row (d,), `ranking_` the rows that were compared, best first,
    `history_` a record an epoch, `runs_` the supernets, `warnings_` what is known to do badly.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201", channels=4, n_cells=1)
    >>> found = ft.supernets.get("darts", space=space, epochs=1, random_state=0).fit("digits")
    >>> found.best_.shape, found.score(found.best_[None]).shape
    ((6,), (1,))
    """

    def __init__(
        self,
        space: Space,
        method: Method,
        wrapper: Wrapper | None = None,
        *,
        epochs: int | None = None,
        random_state: int = 0,
        device: str = "auto",
        folder: str | Path | None = None,
        measure: int = 0,
        look: int | None = 8,
        name: str = "own",
    ) -> None:
        self.space, self.method, self.wrapper = space, method, wrapper or Alone()
        self.epochs, self.random_state, self.device = epochs, random_state, device
        self.folder = None if folder is None else Path(folder)
        self.measure, self.look, self.name = measure, look, name
        self.warnings_ = warnings(method)

    def fit(
        self,
        data: Any,
        *,
        on_record: OnRecord | None = None,
        pulse: Callable[[], None] | None = None,
    ) -> Self:
        """Train and choose.

        Args:
            data: a `Data`, or anything that `foretell.training.data.load` reads.
            on_record: told the supernet's name and its record after each epoch.
            pulse: called before each step.

        Raises: SpaceError, SettingError, DivergedError.
        """
        self.train(data, on_record=on_record, pulse=pulse)
        self.ranking_ = self._select()
        self.best_: Rows = self.ranking_[0]
        return self

    def train(
        self,
        data: Any,
        *,
        on_record: OnRecord | None = None,
        pulse: Callable[[], None] | None = None,
    ) -> Self:
        """Train the supernets, and choose nothing yet: `score` works, `best_` is not there."""
        self.data_ = data if isinstance(data, Data) else load(data, seed=self.random_state)
        self.space_ = self.space.with_io(self.data_.input_shape, self.data_.n_outputs)
        self.runs_: list[tuple[Member, Run]] = []
        for member in self.wrapper.members(self.method, self.space_.mixture(), self._seed()):
            run = self._member(member)
            tell = None if on_record is None else _named(on_record, member.name)
            run.train(tell, pulse)
            self.runs_.append((member, run))
        self.history_ = [
            {"supernet": member.name, **record}
            for member, run in self.runs_
            for record in run.history
        ]
        return self

    @property
    def length(self) -> int:
        """Epochs of the search: those of the method where none are given, or where it has none."""
        own = self.method.weights.epochs
        return own if self.epochs is None or not own else self.epochs

    def _seed(self) -> int:
        return derive(self.random_state, "members")

    def _member(self, member: Member) -> Run:
        parent = None
        if member.parent is not None:
            parent = next(run for one, run in self.runs_ if one.name == member.parent)
        method = member.method
        epochs, own = self.length, member.parent is None
        run = Run(
            self.space_, method, self.data_,
            self.random_state if own else derive(self.random_state, member.name),
            epochs=max(min(epochs, 1), round(epochs * member.share)), device=self.device,
            mask=member.mask,
            parent=parent, measure=self.measure, look=self.look,
            path=None if self.folder is None else self.folder / f"{member.name}.safetensors",
        )  # fmt: skip
        run.load()
        return run

    def _select(self) -> Rows:
        """Each supernet chooses; rows are ranked by inherited weights where there are several."""
        final = [(m, run) for m, run in self.runs_ if m.chooses]
        rows = []
        for member, run in final:
            if "chosen" not in run.progress:
                found = member.method.selection.select(run)
                run.progress["chosen"] = found.tolist()
                run.save()
            rows.append(np.array(run.progress["chosen"]))
        if len(rows) == 1:
            return self.space_.canonical_form(self.space_.check(rows[0]))
        X = self.space_.canonical_form(np.concatenate(rows))
        X = self.space_.check(X[np.sort(np.unique(X, axis=0, return_index=True)[1])])
        return X[np.argsort(-self.wrapper.compare(self, X), kind="stable")]

    def score(self, X: ArrayLike, batches: int | None = None) -> NDArray[np.float64]:
        """Accuracy of rows with inherited weights on the rows that choose.

        Statistics of normalisation layers are those of the batch. Each row is scored by the
        supernet that holds it, the most special one.

        Shapes: (n, d) to (n,).
        """
        if not hasattr(self, "runs_"):
            raise DataError("score", expected="a fitted search", hint="call fit first")
        rows = self.space_.canonical_form(self.space_.check(X))
        out = np.full(len(rows), np.nan)
        for _, run in reversed(self.runs_):
            held = np.isnan(out) & run.holds(rows)
            if held.any():
                out[held] = run.score(rows[held], batches)
        return out

    def network(self, x: ArrayLike) -> nn.Module:
        """The network of a row with the weights that it has here, ready to be used or trained on.

        Its normalisation layers have statistics of its own on the rows that the weights learn
        from: those of other rows say nothing of it.

        Args:
            x: a row (d,).

        References: Cai et al., Once-for-All, ICLR 2020 (statistics of each part anew).
        """
        rows = self.space_.canonical_form(self.space_.check(np.asarray(x)[None]))
        run = next(run for _, run in reversed(self.runs_) if run.holds(rows).all())
        module: nn.Module = self.space_.build(
            rows[0], self.data_.input_shape, self.data_.n_outputs
        ).to(run.device)
        run.net.board.show(torch.from_numpy(run.mixture.weights(rows)[0]).to(run.device))
        n, size = len(run.learn), run.method.weights.batch_size
        parts = torch.arange(n).tensor_split(max(1, min(n // size, n // 2)))
        inherit(run.net, module, run.learn.batch(parts[0])[0])
        statistics.estimate(module, (run.learn.batch(at)[0] for at in parts))
        return module

    def description(self) -> dict[str, Any]:
        """What was searched and how, JSON-able."""
        return {
            "method": self.name,
            "parts": json.loads(json.dumps(repr(self.method))),
            "space": self.space_.name,
            "seed": self.random_state,
            "best": self.space_.to_str(self.best_[None])[0],
            "warnings": self.warnings_,
        }


def _named(on_record: OnRecord, name: str) -> Callable[[Record], None]:
    def tell(record: Record) -> None:
        on_record(name, record)

    return tell
