"""From a supernet to rows that are trained in full: what `--strategy supernet:NAME` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foretell import supernets
from foretell._rng import stream
from foretell.search.history import History
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Rows, Space
from foretell.strategies.parts.fresh import fresh
from foretell.training.data import Data

PREFIX = "supernet:"
POOL = 20  # rows that are scored for each that is trained


@dataclass(frozen=True)
class Ranked(Strategy):
    """Rows in a given order, then random ones.

    Args:
        method: that has ranked them.
        rows: best first.
    """

    method: str = ""
    rows: tuple[tuple[int, ...], ...] = ()

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """The next ones that are not known."""
        X: Rows = np.array(self.rows, dtype=history.X.dtype).reshape(-1, space.d)
        known = set(space.row_key(history.X).tolist())
        new = np.array([key not in known for key in space.row_key(X).tolist()], dtype=bool)
        first = X[new][:n]
        rest = fresh(
            space, history.with_pending(first), n - len(first),
            lambda k: space.sample(k, rng), rng, repeats=True,
        )  # fmt: skip
        return Proposal(np.concatenate([first, rest]))


def ranked(
    folder: Path,
    space: Space,
    data: Data,
    method: str,
    n: int,
    *,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "auto",
    say: Callable[[str], None] | None = None,
) -> Ranked:
    """Train a supernet, choose in it, and rank `n` rows: what was chosen, then by its weights.

    Args:
        folder: of its states; the same call goes on from them.
        space: what is searched, with its limits.
        data: what to learn.
        method: a catalog name.
        n: rows.
        settings: "epochs", and those of the method.
        seed: of the supernet.
        device: where.
        say: told the supernet's progress.
    """
    given = dict(settings or {})
    epochs = given.pop("epochs", None)
    search = supernets.get(
        method, space=space, settings=given, epochs=epochs, random_state=seed, device=device,
        folder=folder,
    )  # fmt: skip

    def tell(name: str, record: Mapping[str, Any]) -> None:
        if say is not None:
            say(f"{name}: epoch {record['epoch'] + 1}, loss {record['train_loss']:.3f}")

    search.fit(data, on_record=tell)
    X = search.ranking_
    if len(X) < n:
        pool = space.sample(POOL * n, stream(seed, "ranked"))
        pool = pool[np.sort(np.unique(space.row_key(pool), return_index=True)[1])]
        score = np.nan_to_num(search.score(pool, 2), nan=-1.0)
        X = np.concatenate([X, pool[np.argsort(-score, kind="stable")]])
    _, first = np.unique(space.row_key(X), return_index=True)
    return Ranked(method, tuple(tuple(map(int, x)) for x in X[np.sort(first)][:n]))
