"""What evidence is: an encoding whose answers cost, and are asked once."""

from __future__ import annotations

import math
import re
import time
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from foretell.encodings.base import Encoding
from foretell.errors import DataError, SettingError
from foretell.evidence import ledger as ledgers
from foretell.evidence.ledger import Answer, Ledger
from foretell.evidence.parts.beside import parents
from foretell.evidence.parts.identity import digest, space_digest
from foretell.spaces.base import Rows, Space

Floats = NDArray[np.float64]


class Paid(NamedTuple):
    """What `compute` may return where it knows better what its answers cost, or why some lack."""

    values: ArrayLike  # (n, f), or (n,) for one feature
    seconds: ArrayLike  # (n,), or one number for all
    reasons: Sequence[str] = ()  # n texts: why values of a row are not finite


class Evidence(Encoding):
    """Base of what costs to know of a row: a score at initialisation, the start of a curve.

    Answers go through a ledger (`foretell.evidence.ledger`), by the space, the row, the class and
    version of the evidence, its parameters, and what `depends_on` names: what was asked once costs
    nothing in a clone, another fold, another process or a later run. They are kept in the ledger
    that is open, else in one of this session.

    A subclass is final: it lists its parameters in `__init__` (stored as given; scikit-learn's
    rules), and implements `compute`. A row that has no answer, or not all of it, is NaN there, or
    raises; it is recorded with its reason, and not asked again.

    Args:
        space: the space whose rows it sees; None to have the one of the predictor that uses it.

    >>> import foretell as ft
    >>> class Ones(Evidence):  # how many options are not the first: as if it took long
    ...     def __init__(self, space=None):
    ...         self.space = space
    ...     def compute(self, X):
    ...         return (X > 0).sum(axis=1)
    >>> space = ft.spaces.get("nb201")
    >>> ones = Ones(space)
    >>> ones.transform([[0, 0, 0, 0, 0, 0], [1, 0, 2, 0, 3, 0]])
    array([[0.],
           [3.]], dtype=float32)
    >>> ones.known([[1, 0, 2, 0, 3, 0], [4, 4, 4, 4, 4, 4]])
    array([ True, False])
    """

    space: Any  # of a Space, or None until it has one
    features: tuple[str, ...] = ("value",)  # what is told of each row, f names
    block: ClassVar[int] = 1  # rows that `compute` is given at once; a kill loses as many
    isomorphic: ClassVar[bool] = False  # whether rows of one function have one answer
    version: ClassVar[str] = ""  # change it when answers change; a class of yours without one
    # is known by its code: another code is another evidence
    free: ClassVar[tuple[str, ...]] = ()  # parameters that change no answer, such as a device

    @abstractmethod
    def compute(self, X: Rows) -> ArrayLike | Paid:
        """Numbers (n, f), or (n,) for one feature, of 1 to `block` rows (n, d) in canonical form.

        It depends on row and parameters alone: not on the other rows, nor on any global generator.
        """

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names of the features: that of the class in small letters, and what is told."""
        name = type(self).__name__.lower()
        return np.array([f"{name}_{feature}" for feature in self.features], dtype=object)

    def depends_on(self) -> Any:
        """What answers depend on beside the parameters (a file's digest, a table); counts whole."""
        return None

    # -- answers ----------------------------------------------------------------------------------

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Features (n, f) of rows (n, d)."""
        return self.encode(self._rows(X))

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Features (n, f); NaN where there is no answer.

        Raises: DataError where it has had no answer to any of the rows that it was ever asked.
        """
        limit = float(np.finfo(np.float32).max)
        values: NDArray[np.float32] = self.values(X).clip(-limit, limit).astype(np.float32)
        return values

    def values(self, X: ArrayLike, again: bool = False) -> Floats:
        """Answers (n, f) in double precision; what is not known is computed.

        Args:
            X: rows (n, d).
            again: whether rows that had no answer are asked once more.
        """
        found = self._ask(X, again)
        if len(found) > 1 and all(one.failed for one in found) and not self._answered():
            raise DataError(
                f"evidence {type(self).__name__} has no answer to any of {len(found)} rows",
                got=found[0].reason,
                hint="mend it, then ask again: values(X, again=True)",
            )
        return np.array([one.values for one in found]).reshape(len(found), len(self.features))

    def failures(self, X: ArrayLike) -> list[str]:
        """Why each row has no answer, "" where it has one; asks what is not known."""
        return [one.reason for one in self._ask(X)]

    def known(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Which rows (n, d) cost nothing any more, shape (n,); asks nothing."""
        keys = self._keys(self._rows(X))
        there = self.ledger.known(self.book, keys)
        return np.array([key in there for key in keys], dtype=bool)

    def spent(self, X: ArrayLike) -> Floats:
        """What each row has cost, (n,); 0 where it was not asked yet."""
        keys = self._keys(self._rows(X))
        there = self.ledger.known(self.book, keys)
        return np.array([there[key].seconds if key in there else 0.0 for key in keys])

    @property
    def cost_s(self) -> float:
        """Seconds that a row costs, by the mean of those that were asked; NaN before the first."""
        found = self.ledger.spent_on(self.book)
        return found.seconds / found.answers if found.answers else math.nan

    def _answered(self) -> bool:
        found = self.ledger.spent_on(self.book)
        return found.answers > found.failed

    # -- who it is --------------------------------------------------------------------------------

    @property
    def ledger(self) -> Ledger:
        """Where its answers are."""
        return ledgers.current(getattr(self, "_folder", None))

    @property
    def book(self) -> str:
        """Its name in the ledger: the same for all that give the same answers."""
        kind = type(self)
        who = [f"{kind.__module__}.{kind.__qualname__}", kind.version] if kind.version else [kind]
        rows = "canonical" if self.isomorphic else "row_key"
        settings = [space_digest(self._space), who, self._settings(), self.features, rows]
        name = re.sub("(?<=[a-z0-9])(?=[A-Z])", "-", kind.__name__).lower()
        return f"{name}-{digest([*settings, self.depends_on()])}"

    def _settings(self) -> dict[str, Any]:
        params: dict[str, Any] = self.get_params(deep=False)
        return {k: v for k, v in params.items() if k != "space" and k not in self.free}

    @property
    def _space(self) -> Space:
        if not isinstance(self.space, Space):
            raise SettingError(
                f"evidence {type(self).__name__} has no space",
                hint="name one, or give the evidence to a predictor, which has one",
            )
        return self.space

    def _rows(self, X: ArrayLike) -> Rows:
        return self._space.canonical_form(self._space.check(X))

    def _keys(self, X: Rows) -> list[int]:
        space = self._space
        keys: list[int] = (space.canonical(X) if self.isomorphic else space.row_key(X)).tolist()
        return keys

    def _ask(self, X: ArrayLike, again: bool = False) -> list[Answer]:
        rows = parents(self._space, self._rows(X))
        keys = self._keys(rows)
        where = {key: i for i, key in reversed(list(enumerate(keys)))}
        words = {k: v if _short(v) else type(v).__name__ for k, v in self._settings().items()}
        about = {"book": self.book, "evidence": type(self).__name__, "space": self._space.name}
        found = self.ledger.ask(
            self.book,
            {**about, "settings": words, "features": list(self.features)},
            keys,
            lambda asked: self._answers(rows[[where[key] for key in asked]]),
            self.block,
            again,
        )
        return [found[key] for key in keys]

    def _answers(self, X: Rows) -> list[Answer]:
        """`compute`, its failures told apart."""
        start = time.perf_counter()
        try:
            got = self.compute(X)
            values = np.asarray(got.values if isinstance(got, Paid) else got, dtype=np.float64)
        except Exception as error:
            if len(X) > 1:  # one of them: which?
                return [answer for x in X for answer in self._answers(x[None])]
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            nothing = (math.nan,) * len(self.features)
            return [Answer(nothing, time.perf_counter() - start, reason)]
        shape = (len(X), len(self.features))
        if values.shape not in (shape, shape[: 1 + (shape[1] > 1)]):
            raise DataError(
                f"`compute` of evidence {type(self).__name__}",
                expected=f"shape {shape}",
                got=f"shape {values.shape}",
                hint="name what is told of a row in `features`",
            )
        even = (time.perf_counter() - start) / len(X)
        paid = got if isinstance(got, Paid) else Paid(values, even)
        spent = np.broadcast_to(paid.seconds, len(X))
        reasons = paid.reasons or [""] * len(X)
        rows = zip(values.reshape(shape).tolist(), spent, reasons, strict=True)
        return [_answer(v, s, why) for v, s, why in rows]

    # -- wherever it goes, its ledger goes along --------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_folder": self.ledger.made().folder}

    def __sklearn_clone__(self) -> Self:
        params = self.get_params(deep=False)
        other = type(self)(**{name: clone(value, safe=False) for name, value in params.items()})
        folder: Path | None = getattr(self, "_folder", None)
        if folder is not None:
            other._folder = folder
        return other


def _answer(values: Sequence[float], seconds: float, reason: str) -> Answer:
    if all(map(math.isfinite, values)):
        return Answer(tuple(values), float(seconds))
    there = tuple(v if math.isfinite(v) else math.nan for v in values)
    return Answer(there, float(seconds), (reason or f"not finite: {values}")[:300])


def _short(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))
