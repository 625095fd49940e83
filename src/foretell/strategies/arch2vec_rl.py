"""arch2vec-RL: a policy that walks through a latent space that saw no target."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from foretell import encodings
from foretell._rng import derive
from foretell.encodings.base import Encoding
from foretell.errors import SettingError
from foretell.predictors.base import Floats
from foretell.search.history import History
from foretell.search.strategy import Proposal, Strategy
from foretell.spaces.base import Rows, Space
from foretell.strategies.parts.folded import folded
from foretell.strategies.parts.fresh import fresh
from foretell.strategies.parts.rewards import share_no_better


@dataclass(frozen=True)
class Arch2VecRL(Strategy):
    """An LSTM says where in the latent space to go next; the nearest row that is new is evaluated.

    With z(x) the standardised encoding of a row, the next point is drawn from N(m_t, I), m_t what
    the LSTM makes of the points before it in the batch; the new row with the nearest z is proposed.
    After each `batch` results one step of Adam goes along

        (1/n) sum_t (R_t - b) grad log N(z(x_t) | m_t, I),    b an average of past rewards.

    Rewards are the share of the results so far that are no better.

    Args:
        encoding: a name of the catalog, or an `Encoding`.
        hidden: of the LSTM, 1 or more.
        lr: learning rate.
        decay: of the baseline, 0 to below 1.
        batch: results of a walk, 1 or more.
        rows: random rows that stand for a space with more.
        seed: of the first weights, and of these rows.
        repeats: whether a function may come again that is written differently.

    References: Yan et al., Does Unsupervised Architecture Representation Learning Help Neural
    Architecture Search?, NeurIPS 2020, section 3.2 and appendix (batch 16, 128 states, learning
    rate 0.01). Differs: the likelihood is that of the row's own point, which the past has, not
    of the point that was drawn; the reward is a rank, not the accuracy less 0.95.

    >>> import foretell as ft
    >>> strategy = Arch2VecRL("graph-stats", batch=4, rows=200)
    >>> ft.Search(ft.spaces.get("nb201"), strategy, seed=0).ask(4).shape
    (4, 6)
    """

    encoding: Any = "arch2vec"
    hidden: int = 128
    lr: float = 0.01
    decay: float = 0.9
    batch: int = 16
    rows: int = 20_000
    seed: int = 0
    repeats: bool = False

    def __post_init__(self) -> None:
        for name in ("hidden", "batch", "rows"):
            if getattr(self, name) < 1:
                got = getattr(self, name)
                raise SettingError(f"arch2vec-rl, {name}", expected="at least 1", got=got)
        if not isinstance(self.encoding, (str, Encoding)):
            raise SettingError(
                "arch2vec-rl, encoding", expected="a name or an Encoding", got=self.encoding
            )

    def propose(self, space: Space, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """The rows nearest to where the policy goes."""
        from foretell.strategies.parts import walker  # torch

        encode, table, Z = self._map(space)
        known = history.ok.latest
        now = self.walk(space, known)
        path = encode(known.X[len(known) - len(known) % self.batch :])
        key = space.row_key if self.repeats else space.canonical
        keys = key(table)
        new = ~np.isin(keys, key(history.X))
        found: list[int] = []
        for _ in range(min(n, int(new.sum()))):
            if not new.any():
                break
            to = walker.expected(now.walker, path) + rng.normal(size=Z.shape[1])
            far = np.square(Z - to).sum(axis=1)
            at = int(np.where(new, far, np.inf).argmin())
            found.append(at)
            new &= keys != keys[at]
            path = np.concatenate([path, Z[at : at + 1]])
        X = table[found]
        out = history.with_pending(X)
        more = fresh(space, out, n - len(X), lambda k: space.sample(k, rng), rng, self.repeats)
        return Proposal(np.concatenate([X, more]))

    def walk(self, space: Space, known: History) -> Any:
        """The policy after all whole batches of results."""
        from foretell.strategies.parts import walker  # torch

        encode, _, Z = self._map(space)
        rewards, b = share_no_better(known.y), self.batch

        def begin() -> walker.Walk:
            return walker.walk(Z.shape[1], self.hidden, self.lr, derive(self.seed, "walker"))

        def step(before: walker.Walk, now: History, k: int) -> walker.Walk:
            mine = rewards[slice(k * b, (k + 1) * b)]
            return walker.learnt(before, encode(now.X), mine, self.decay)

        return folded(space, repr(self), known, b, begin, step)

    def _map(self, space: Space) -> tuple[Any, Rows, Floats]:
        """The standardised encoding, the rows that stand for the space, and their points."""
        made = encodings.get(self.encoding, space) if isinstance(self.encoding, str) else None
        encoding = self.encoding if made is None else made
        table, Z, centre, scale = _points(space, _Same(encoding), self.rows, self.seed)
        return (lambda X: (encoding.encode(X) - centre) / scale), table, Z

    def round_size(self, history: History) -> int:
        """The rest of a walk."""
        return self.batch - len(history.told.latest) % self.batch


class _Same:
    """An encoding as a key of what is remembered: equal ones have equal settings."""

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.name = repr(encoding)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


@lru_cache(maxsize=8)
def _points(space: Space, same: _Same, rows: int, seed: int) -> tuple[Rows, Floats, Floats, Floats]:
    """Rows of a space, their points, and by what points are standardised."""
    small = np.concatenate([next(space.enumerate(rows + 1)), space.sample(0, 0)])
    X = small if len(small) <= rows else space.sample(rows, derive(seed, "table"))
    features = same.encoding.encode(X).astype(np.float64)
    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    return X, (features - centre) / scale, centre, scale
