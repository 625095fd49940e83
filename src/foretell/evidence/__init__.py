"""Evidence: encodings that cost seconds to know, and the ledger that remembers them.

`base.py` is what an evidence is, `ledger.py` where its answers are kept, and `parts/` what both are
made of. It stands on spaces and encodings, and knows nothing of predictors: these take evidence as
they take any encoding. Predictors and all above may import it.
"""

from __future__ import annotations

from foretell.evidence.base import Evidence, Paid
from foretell.evidence.curve import Curve
from foretell.evidence.ledger import Ledger, current, ledger
from foretell.evidence.parts.inside import evidence_of, without_evidence
from foretell.evidence.told import Told

__all__ = [
    "Curve",
    "Evidence",
    "Ledger",
    "Paid",
    "Told",
    "current",
    "evidence_of",
    "ledger",
    "without_evidence",
]
