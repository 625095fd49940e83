"""What every method on learning curves promises, as checks that anyone can run on an own one.

>>> from foretell.evidence import curves
>>> check_curve_method(curves.get("sotl-e"))
"""

from __future__ import annotations

from typing import Any

import joblib
import numpy as np
from sklearn.base import clone

from foretell import metrics
from foretell._rng import stream
from foretell.errors import DataError, NoUncertaintyError, SettingError
from foretell.evidence.curves import CurveMethod
from foretell.evidence.curves.base import Floats
from foretell.testing._globals import global_states, shaken

EPOCHS = 12


def examples(n: int = 16, epochs: int = EPOCHS, noise: float = 0.005) -> dict[str, Floats]:
    """Curves of trainings that approach different ends at different speeds."""
    rng = stream(0, "curves")
    x = np.arange(1.0, epochs + 1)
    end, rate = rng.uniform(0.5, 0.95, (n, 1)), rng.uniform(0.4, 1.0, (n, 1))
    acc = end - (end - 0.1) * x**-rate + noise * rng.standard_normal((n, epochs))
    loss = 2.5 * (1 - acc)
    return {"val_acc": acc, "val_loss": loss, "train_loss": 0.9 * loss}


def check_curve_method(method: CurveMethod) -> None:
    """Run all checks of this module; AssertionError says which promise is broken."""
    curves = examples()
    fitted = clone(method).fit(curves)
    for check in (_shapes, _rows_alone, _scales, _gaps, _refuses):
        check(fitted, curves)
    _repeats(method, curves)


def check_learns(method: CurveMethod) -> None:
    """After half of the epochs it ranks networks by their ends, tau at least 0.5."""
    curves = examples(60)
    train = {name: values[:36] for name, values in curves.items()}
    test = {name: values[36:] for name, values in curves.items()}
    said = clone(method).fit(train).predict(test, epochs=EPOCHS // 2)
    tau = metrics.kendall(test["val_acc"][:, -1], said)
    assert tau >= 0.5, f"tau to the ends is {tau:.2f}"


def _shapes(method: CurveMethod, curves: dict[str, Floats]) -> None:
    for epochs in (method.least, EPOCHS - 1, EPOCHS, None):
        said = method.predict(curves, epochs=epochs)
        assert said.shape == (16,), f"16 curves gave shape {said.shape}"
        assert np.isfinite(said).all(), "a prediction is not finite"
    none = {name: values[:0] for name, values in curves.items()}
    assert method.predict(none).shape == (0,), "no curves gave predictions"
    if method.has_std:
        mean, std = method.predict(curves, epochs=6, return_std=True)
        assert np.array_equal(mean, method.predict(curves, epochs=6)), "means differ"
        assert (std > 0).all(), "a deviation is not positive"


def _rows_alone(method: CurveMethod, curves: dict[str, Floats]) -> None:
    some = {name: values[[5, 2]] for name, values in curves.items()}
    alone = method.predict(some, epochs=6)
    beside = method.predict(curves, epochs=6)[[5, 2]]
    assert np.allclose(alone, beside, rtol=1e-9, atol=1e-12), "it depends on the other curves"
    cut = {name: values[:, :6] for name, values in some.items()}
    if method.learns or getattr(method, "horizon", 0) == 0:
        again = method.predict(cut)
        assert np.allclose(again, alone, rtol=1e-9), "it has looked at epochs that it may not see"


def _scales(method: CurveMethod, curves: dict[str, Floats]) -> None:
    """Percent are ranked as fractions are."""
    percent = {k: 100 * v if "acc" in k else v for k, v in curves.items()}
    one, other = clone(method).fit(curves), clone(method).fit(percent)
    both = one.predict(curves, epochs=6), other.predict(percent, epochs=6)
    assert metrics.kendall(*both) > 0.9, "percent are ranked otherwise than fractions"


def _gaps(method: CurveMethod, curves: dict[str, Floats]) -> None:
    """A training that ended early, and one that never gave a value."""
    broken = {name: values.copy() for name, values in curves.items()}
    for values in broken.values():
        values[0, 4:], values[1] = np.nan, np.nan
    said = method.predict(broken, epochs=8)
    assert np.isfinite(said[0]), "a curve that ends early has no prediction"
    assert np.isnan(said[1]), "a curve without values has a prediction"


def _refuses(method: CurveMethod, curves: dict[str, Floats]) -> None:
    wrong: list[Any] = [method.least - 1, EPOCHS + 1, 2.5]
    for epochs in wrong:
        try:
            method.predict(curves, epochs=epochs)
        except SettingError:
            continue
        raise AssertionError(f"{epochs} epochs are taken")
    try:
        method.predict({"other": curves["val_acc"]})
    except DataError:
        pass
    else:
        raise AssertionError("curves of another name are taken")
    if not method.has_std:
        try:
            method.predict(curves, return_std=True)
        except NoUncertaintyError:
            return
        raise AssertionError("it has no deviation and gives one")


def _repeats(method: CurveMethod, curves: dict[str, Floats]) -> None:
    with shaken():
        before = global_states()
        here = _said(method, curves)
        after = global_states()
    for name, state in after.items():
        assert state == before[name], f"the global generator of {name} was used"
    pool = joblib.Parallel(n_jobs=2, backend="loky")
    there, _ = pool(joblib.delayed(_said)(method, curves) for _ in range(2))
    assert np.array_equal(here, there), "in another process the answer is another"


def _said(method: CurveMethod, curves: dict[str, Floats]) -> Floats:
    said: Floats = clone(method).fit(curves).predict(curves, epochs=6)
    return said
