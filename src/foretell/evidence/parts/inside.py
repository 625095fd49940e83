"""The evidence inside of a model, and the model without it."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone
from sklearn.pipeline import FeatureUnion, Pipeline

from foretell.encodings.onehot import OneHot
from foretell.evidence.base import Evidence
from foretell.spaces.base import Space


def bound(evidence: Evidence, space: Space) -> Evidence:
    """Itself, or where it has no space yet, a clone on this one."""
    if evidence.space is not None:
        return evidence
    other: Evidence = clone(evidence).set_params(space=space)
    return other


def evidence_of(model: Any) -> list[Evidence]:
    """What a model asks that costs, wherever it is among its parameters, or in its `evidence_`.

    >>> from sklearn.linear_model import Ridge
    >>> evidence_of(Ridge())
    []
    """
    if isinstance(model, Evidence):
        return [model]
    if isinstance(model, (list, tuple)):
        return [one for item in model for one in evidence_of(item)]
    if hasattr(model, "get_params") and not isinstance(model, type):
        given = evidence_of(list(model.get_params(deep=False).values()))
        return given or evidence_of(vars(model).get("evidence_", ()))
    return []


def without_evidence(model: Any) -> Any:
    """An unfitted clone that asks nothing that costs.

    Evidence is left out of tuples of encodings and of a `FeatureUnion`; where nothing else would
    be left, and as a step of a `Pipeline`, the one-hot encoding of the row takes its place. A
    parameter that is called `evidence` may be empty.
    """
    other = clone(model)
    params = other.get_params(deep=False)
    return other.set_params(**{k: _cheap(v, other, k) for k, v in params.items() if evidence_of(v)})


def _cheap(value: Any, owner: Any, name: str) -> Any:
    if isinstance(value, Evidence):
        return () if name == "evidence" else _row_itself(value)
    if not isinstance(value, (list, tuple)):
        return without_evidence(value)
    if isinstance(owner, (Pipeline, FeatureUnion)):
        return _steps(value, owner)
    kept = [_element(one) for one in value if not isinstance(one, Evidence)]
    if not kept and name != "evidence":
        kept = [_row_itself(value[0])]
    return type(value)(kept)


def _element(one: Any) -> Any:
    """One of several: an encoding, or the (name, model) of a model of models."""
    if not evidence_of(one):
        return one
    return (one[0], without_evidence(one[1])) if isinstance(one, tuple) else without_evidence(one)


def _steps(steps: Any, owner: Any) -> list[tuple[str, Any]]:
    pairs = [(name, one) for name, one in steps]
    alone = all(isinstance(one, Evidence) or one == "drop" for _, one in pairs)
    cheap: list[tuple[str, Any]] = []
    for name, one in pairs:
        if not isinstance(one, Evidence):
            cheap.append((name, without_evidence(one) if evidence_of(one) else one))
        elif isinstance(owner, Pipeline) or (alone and not cheap):
            cheap.append((name, _row_itself(one)))
        else:
            cheap.append((name, "drop"))
    return cheap


def _row_itself(evidence: Evidence) -> Any:
    return "one-hot" if evidence.space is None else OneHot(evidence.space)
