"""What every evidence promises, as checks that anyone can run on an own one.

>>> import foretell as ft
>>> class Ones(ft.evidence.Evidence):
...     def __init__(self, space=None):
...         self.space = space
...     def compute(self, X):
...         return (X > 0).sum(axis=1)
>>> check_evidence(Ones(ft.spaces.get("nb201")))
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence

import joblib
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from foretell._rng import stream
from foretell.evidence import Evidence, Paid, ledger
from foretell.spaces.base import Rows, Space
from foretell.testing._globals import global_states, shaken

Floats = NDArray[np.float64]


def check_evidence(evidence: Evidence, spaces: Sequence[Space] = ()) -> None:
    """Run all checks of this module; AssertionError says which promise is broken.

    What it answers meanwhile is kept in a ledger of its own, which goes.

    Args:
        evidence: with a space; some of its rows are asked, each a few times.
        spaces: others that it must serve as well, such as one of your own.
    """
    for space in (evidence.space, *spaces):
        one = evidence if space is evidence.space else clone(evidence).set_params(space=space)
        for check in CHECKS:
            with tempfile.TemporaryDirectory() as folder, ledger(folder):
                check(one)


def examples(evidence: Evidence, n: int = 8) -> Rows:
    """`n` different rows of the evidence's space, or as many as there are."""
    space = evidence.space
    X = space.sample(4 * n, stream(0, "examples"))
    _, first = np.unique(space.row_key(X), return_index=True)
    found: Rows = X[np.sort(first)][:n]
    return found


def direct(evidence: Evidence, X: Rows) -> Floats:
    """What `compute` says of rows (n, d) one by one, past the ledger; NaN where it raises."""
    answers = []
    for x in X:
        try:
            answers.append(_numbers(evidence.compute(x[None])).reshape(-1))
        except Exception:
            answers.append(np.full(len(evidence.features), np.nan))
    return np.array(answers)


def check_answers(evidence: Evidence) -> None:
    """n rows give (n, f) float32, also n = 0; each is finite, or NaN with a reason."""
    X, f = examples(evidence), len(evidence.features)
    for rows in (X, X[:1], X[:0], X.astype(np.int64), X.astype(np.float64)):
        got = evidence.transform(rows)
        assert got.dtype == np.float32, f"features are {got.dtype}"
        assert got.shape == (len(rows), f), f"{len(rows)} rows gave shape {got.shape}"
    for value, reason in zip(evidence.values(X), evidence.failures(X), strict=True):
        answered = bool(np.isfinite(value).all())
        assert answered or reason, "a row has no answer, and no reason is told"
        assert not (answered and reason), "a reason is told beside an answer"


def check_rows_alone(evidence: Evidence) -> None:
    """A row is answered alone as beside others, in any order and in any block."""
    X, size = examples(evidence), type(evidence).block
    alone = direct(evidence, X)
    assert _same(evidence.values(X[::-1])[::-1], alone), "an answer depends on the other rows"
    if size > 1 and not np.isnan(alone).any():
        block = _numbers(evidence.compute(X[:size])).reshape(-1, len(evidence.features))
        assert _same(block, alone[:size]), "an answer depends on the other rows of its block"


def check_determinism(evidence: Evidence) -> None:
    """Asked again, in this process or another, the answer is the same."""
    X = examples(evidence)
    here = direct(evidence, X)
    assert _same(direct(evidence, X), here), "asked again, the answer is another"
    pool = joblib.Parallel(n_jobs=2, backend="loky")
    (there, book), _ = pool(joblib.delayed(_elsewhere)(evidence, X) for _ in range(2))
    assert _same(there, here), "in another process the answer is another"
    assert book == evidence.book, "in another process it is taken for another evidence"


def check_global_randomness(evidence: Evidence) -> None:
    """The global generators of random, numpy and (when it is loaded) torch are not touched."""
    X = examples(evidence, 2)
    direct(evidence, X)  # what it imports may draw
    with shaken():
        before = global_states()
        direct(evidence, X)
        after = global_states()
    for name, state in after.items():
        assert state == before[name], f"the global generator of {name} was used"


def check_parameters(evidence: Evidence) -> None:
    """`__init__` stores its arguments as given; `free` names parameters."""
    params = evidence.get_params(deep=False)
    for name, value in clone(evidence).get_params(deep=False).items():
        assert repr(value) == repr(params[name]), f"clone changed parameter {name!r}"
    unknown = set(type(evidence).free) - set(params)
    assert not unknown, f"`free` names {sorted(unknown)}, which are no parameters"


def check_asked_once(evidence: Evidence) -> None:
    """Itself, its clones and pickles, in this process and others: what one knows all know."""
    X = examples(evidence)
    evidence.transform(X)
    before = evidence.ledger.spent_on(evidence.book)
    copy = clone(evidence)
    assert copy.book == evidence.book, "a clone is taken for another evidence"
    assert copy.known(X).all(), "a clone does not know what was answered"
    assert _same(copy.values(X), evidence.values(X)), "a clone answers otherwise"
    pool = joblib.Parallel(n_jobs=2, backend="loky")
    for known in pool(joblib.delayed(_known)(one, X) for one in (evidence, copy)):
        assert known.all(), "another process does not know what was answered"
    assert evidence.ledger.spent_on(evidence.book) == before, "a row was asked again"


def check_seconds(evidence: Evidence) -> None:
    """What answers have cost is counted: finite, not negative, by row and in all."""
    X = examples(evidence)
    evidence.transform(X)
    seconds = evidence.spent(X)
    assert np.isfinite(seconds).all(), "seconds are not finite"
    assert (seconds >= 0).all(), "seconds are negative"
    assert np.isfinite(evidence.cost_s), "`cost_s` is not finite"


def check_isomorphic(evidence: Evidence) -> None:
    """If rows of one function are said to have one answer, they have."""
    if not type(evidence).isomorphic:
        return
    space = evidence.space
    X = space.sample(2000, stream(0, "isomorphic"))
    X = X[np.unique(space.row_key(X), return_index=True)[1]]
    _, back, count = np.unique(space.canonical(X), return_inverse=True, return_counts=True)
    for group in np.flatnonzero(count > 1)[:4]:
        answers = direct(evidence, X[back == group][:3])
        same = _same(answers, np.repeat(answers[:1], len(answers), axis=0))
        assert same, "rows of one function have different answers: `isomorphic` is not true"


def _elsewhere(evidence: Evidence, X: Rows) -> tuple[Floats, str]:
    return direct(evidence, X), evidence.book


def _known(evidence: Evidence, X: Rows) -> NDArray[np.bool_]:
    return evidence.known(X)


def _numbers(got: ArrayLike | Paid) -> Floats:
    return np.asarray(got.values if isinstance(got, Paid) else got, dtype=np.float64)


def _same(one: Floats, other: Floats) -> bool:
    """Whether they are equal to the bit, where they are finite at all."""
    a, b = (np.where(np.isfinite(values), values, np.nan) for values in (one, other))
    return np.array_equal(a, b, equal_nan=True)


CHECKS: tuple[Callable[[Evidence], None], ...] = (
    check_answers,
    check_rows_alone,
    check_determinism,
    check_global_randomness,
    check_parameters,
    check_asked_once,
    check_seconds,
    check_isomorphic,
)
