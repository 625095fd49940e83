"""EPE-NAS: input gradients within and between classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from foretell.errors import DataError
from foretell.evidence.zero_cost.base import Proxy
from foretell.evidence.zero_cost.parts.look import INPUTS, Look
from foretell.evidence.zero_cost.parts.matrices import correlation

_K = 1e-5
_MANY = 100


@dataclass(frozen=True)
class EPENAS(Proxy):
    """How much the gradients by the inputs of one class are alike.

    With C the correlation matrix of the input gradients of the examples of class c:
    s_c = sum_ij log(|C_ij| + k), k = 1e-5. The score is sum_c |s_c|; of more than 100 classes, s_c
    is divided by the number of its entries, and the score is sum |s_c - s_c'| over all pairs,
    divided by the number of classes.

    References: Lopes et al., EPE-NAS, ICANN 2021, equations 3 to 6.
    """

    needs: ClassVar[frozenset[str]] = frozenset({INPUTS})

    def score(self, look: Look) -> float:
        """Of the classes that the batch has."""
        if look.targets.is_floating_point():
            raise DataError("epe-nas", expected="classes as targets", got="numbers")
        jacobian, labels = look.jacobian.double(), look.targets.flatten()
        classes = labels.unique()
        each = []
        for one in classes:
            logs = (correlation(jacobian[labels == one]).abs() + _K).log()
            each.append(float(logs.sum() if len(classes) <= _MANY else logs.mean()))
        if len(classes) <= _MANY:
            return sum(map(abs, each))
        pairs = ((a, b) for i, a in enumerate(each) for b in each[i + 1 :])
        return sum(abs(a - b) for a, b in pairs) / len(classes)
