"""What a predictor is: a scikit-learn regressor from rows of a space to a number."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Self, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted

from foretell._given import check_settings, reals
from foretell._rng import stream
from foretell._threads import one_thread
from foretell.encodings.base import a_space
from foretell.errors import DataError, NoUncertaintyError, SettingError, SpaceError
from foretell.evidence.base import Evidence
from foretell.evidence.parts.inside import evidence_of, without_evidence
from foretell.spaces.base import Rows, Space

Floats = NDArray[np.float64]


class Predictor(RegressorMixin, BaseEstimator, ABC):  # type: ignore[misc]  # scikit-learn has no types
    """Base of all predictors; higher predictions mean better architectures.

    A subclass is final: it lists its parameters in `__init__` (stored as given), and implements
    `_fit` and `_predict`. `fit` and `predict` check what comes in and goes out. The scale of a
    prediction is that of `y` unless the method predicts ranks; then its docstring says so.

    `ranges` says where good settings may lie: parameter -> list of values, or a distribution of
    `scipy.stats`, as `RandomizedSearchCV(model, model.ranges)` takes them; a study tunes by them.

    Weights of samples are not supported: `fit` has no `sample_weight`.

    Args:
        space: the space whose rows it sees.
        random_state: non-negative seed, or None for fresh entropy; a `RandomState` or `Generator`
            gives a seed with each fit.
    """

    has_std: bool = False  # whether `_predict` gives an uncertainty
    without_std: ClassVar[str] = "`foretell list predictors` marks those that have one"
    fewest: ClassVar[int] = 1  # results that it learns from
    unseen_: tuple[Floats, Floats] | None = None  # see `leaves_out`: mean and deviation, (n,)
    ranges: ClassVar[Mapping[str, Any]] = {}  # settings worth trying, for random search
    space: Space
    random_state: int | None

    @property
    def leaves_out(self) -> bool:
        """Whether a fit says in `unseen_` what parts of it make of rows they have not seen."""
        return False

    @abstractmethod
    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        """Learn from checked rows (n, d) and finite targets (n,); n is at least `fewest`."""

    @abstractmethod
    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        """Mean (n,) and standard deviation (n,) or None, for checked rows (n, d)."""

    def _mean(self, X: Rows) -> Floats:
        """Mean (n,) alone; for methods whose deviation takes most of the time."""
        return self._predict(X)[0]

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn from architectures and their targets; forgets what was learnt before.

        Args:
            X: rows of the space, (n, d).
            y: targets, (n,), finite, higher is better.

        Raises:
            SpaceError: a row is not of the space.
            DataError: the targets are not n finite numbers.
        """
        a_space(self, self.space)
        self._settings_of_their_kind()
        names = _columns(X, self.space)
        rows = self._rows(X)
        targets = reals(y, "targets y")
        if targets.shape != (len(rows),) or len(rows) < self.fewest:
            least = max(len(rows), self.fewest)
            raise DataError("targets y", expected=f"shape ({least},)", got=f"shape {targets.shape}")
        if not np.isfinite(targets).all():
            at = int(np.argmin(np.isfinite(targets)))
            raise DataError(
                f"target y[{at}]",
                expected="a finite number",
                got=targets[at],
                hint="leave failed trials out: history.ok has X and y without them",
            )
        self.n_features_in_ = self.space.d
        self.__dict__.pop("feature_names_in_", None)
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        self.__dict__.pop("evidence_", None)
        self.learnt_from_ = (rows, targets) if evidence_of(self) else None
        try:
            with one_thread():
                self._fit(rows, targets, stream(self.random_state, "fit"))
        except (IndexError, RuntimeError, ValueError, ZeroDivisionError) as error:
            if zero := [
                name for name, value in self._defaults() if value and not getattr(self, name)
            ]:
                raise SettingError(
                    f"{type(self).__name__}, {zero[0]}", expected="a whole number from 1", got=0
                ) from error
            if type(error).__name__ == "InvalidParameterError":  # of scikit-learn, in its words
                raise SettingError(f"{type(self).__name__}: {error}") from error
            raise
        return self

    def _defaults(self) -> list[tuple[str, int]]:
        """Settings that are whole numbers, with their defaults."""
        found = inspect.signature(type(self)).parameters.items()
        return [(name, one.default) for name, one in found if type(one.default) is int]

    def screen(self) -> Self | None:
        """The same predictor without its evidence, fitted on the same results; None without any.

        A ranking asks it of every row, and this one of the best of them alone.
        """
        check_is_fitted(self, "n_features_in_")
        if self.learnt_from_ is None:
            return None
        cheap: Self = without_evidence(self).fit(*self.learnt_from_)
        return cheap

    @overload
    def predict(self, X: ArrayLike, return_std: Literal[False] = False) -> Floats: ...
    @overload
    def predict(self, X: ArrayLike, return_std: Literal[True]) -> tuple[Floats, Floats]: ...
    def predict(self, X: ArrayLike, return_std: bool = False) -> Floats | tuple[Floats, Floats]:
        """Predicted targets of rows (n, d); with `return_std` also their standard deviations.

        The deviation is that of a measurement: the noise of the targets is part of it, where the
        method has a noise. A tenth of the measurements should lie further off than 1.645 of it.

        Raises:
            NotFittedError: `fit` has not been called.
            NoUncertaintyError: the method has no uncertainty.
        """
        check_is_fitted(self, "n_features_in_")
        if return_std and not self.has_std:
            raise NoUncertaintyError(
                f"{type(self).__name__} predicts no standard deviation",
                hint=f"call predict(X); {self.without_std}",
            )
        known = getattr(self, "feature_names_in_", None)
        names = _columns(X, self.space)
        if known is not None and names is not None and names != known.tolist():
            raise DataError(
                "columns of X",
                expected=f"those of the fit, in their order: {', '.join(map(str, known))}",
                got=", ".join(map(str, names)),
            )
        rows = self._rows(X)
        with one_thread():
            if not return_std:
                return self._told(self._mean(rows)) if len(rows) else np.zeros(0)
            mean, std = self._predict(rows) if len(rows) else (np.zeros(0), np.zeros(0))
        assert std is not None  # has_std promises it
        return self._told(mean), std

    def _told(self, mean: Floats) -> Floats:
        """The predictions, if any is a number."""
        if len(mean) and not np.isfinite(mean).any():
            raise DataError(
                f"no prediction of {type(self).__name__} is a number: its training has diverged",
                hint="try other settings, such as a lower learning rate",
            )
        return mean

    def _settings_of_their_kind(self) -> None:
        """Raises: SettingError for a setting that is not of the kind that its annotation says."""
        made = inspect.signature(type(self)).parameters
        values: dict[str, Any] = {name: getattr(self, name, None) for name in made}
        values.pop("random_state", None)
        check_settings(type(self).__name__, values, type(self))
        for name, default in self._defaults():
            if name in values and values[name] < min(default, 0):
                raise SettingError(
                    f"{type(self).__name__}, {name}",
                    expected="a whole number from 0",
                    got=values[name],
                )

    def _rows(self, X: ArrayLike) -> Rows:
        """Checked rows in canonical form."""
        try:
            return self.space.canonical_form(self.space.check(X))
        except SpaceError as error:
            if getattr(X, "dtype", np.dtype(int)).kind != "f":
                raise
            raise SpaceError(
                f"{type(self).__name__} takes rows of space {self.space.name!r}, not features "
                f"({error})",
                hint="what an encoding gives is for a regressor of scikit-learn: "
                "make_pipeline(encoding, regressor), or foretell.predictors.OnFeatures(space, "
                "regressor, encoding=...); many predictors take encoding=... themselves",
            ) from error

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        return tags


def seeded(model: Any, seed: int) -> Any:
    """A clone of a regressor with this seed wherever it, or a step of it, has a `random_state`.

    Evidence keeps its own: another seed would be another evidence, to be paid again.
    """
    other = clone(model)
    params = other.get_params()
    theirs = [k for k in params if k.endswith("random_state")]
    own = [k for k in theirs if not isinstance(params.get(k.rpartition("__")[0]), Evidence)]
    return other.set_params(**dict.fromkeys(own, seed))


def _columns(X: Any, space: Space) -> list[str] | None:
    """The names of the columns of a data frame, which may not be the space's in another order."""
    columns = getattr(X, "columns", None)
    names = None if columns is None else list(columns)
    if names is None or not all(isinstance(name, str) for name in names):
        return None
    own = [choice.name for choice in space.choices]
    if names != own and sorted(names) == sorted(own):
        raise DataError(
            "columns of X", expected=f"in the order of the space: {', '.join(own)}", got=names
        )
    return names


P = TypeVar("P", bound=Predictor)


def inside(
    make: Callable[..., P], space: Space, settings: Mapping[str, Any] | None, **fixed: Any
) -> P:
    """An unfitted predictor that another is made of.

    Args:
        make: its class.
        space: the space whose rows it sees.
        settings: of the user, where not its defaults.
        fixed: settings that the other one decides.
    """
    model, settings = make(space), settings or {}
    known = settings_of(model)
    if unknown := sorted(settings.keys() - known):
        raise SettingError(
            "settings",
            expected=f"settings of {type(model).__name__}: {', '.join(sorted(known))}",
            got=repr(unknown[0]),
        )
    return make(space, **{**settings, **fixed})


def settings_of(model: Predictor) -> dict[str, Any]:
    """The settings of a predictor, as `inside` takes them."""
    params = model.get_params(deep=False)
    return {name: value for name, value in params.items() if name not in ("space", "random_state")}
