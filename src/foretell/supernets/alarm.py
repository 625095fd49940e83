"""Whether a search has collapsed, in words: cells of identities that a mixture hides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

GAP = 0.25  # accuracy that the mixture has and its strongest architecture has not
SKIPS = 0.6  # share of identities in an architecture that is leaning
RISE = 1.3  # of the curvature, over its least value
STEADY = 3  # epochs in which nothing but identities and poolings was strongest


class Alarm(NamedTuple):
    """ "collapsed": what is chosen learns nothing; "leaning": signs of it; "calm": none."""

    level: Literal["collapsed", "leaning", "calm"]
    text: str


def alarm(history: Sequence[Mapping[str, Any]], chosen_weighted: int | None = None) -> Alarm:
    """What the records of a search say.

    Collapsed is a search whose chosen architecture has no operation with weights, whatever its
    mixture can do. Leaning is one whose strongest architecture was such a one for some epochs, or
    has mostly identities, or much less accuracy than the mixture while the place has become sharp.

    Args:
        history: records of epochs, of one supernet.
        chosen_weighted: operations with weights in the chosen architecture, None where nothing is
            chosen yet: then the strongest one counts.

    References: Zela et al., ICLR 2020; Wang et al., ICLR 2021 (skip connections take over).

    >>> record = {"epoch": 9, "weighted": 0, "sites": 6, "skip_share": 1.0, "val_discrete": 0.25}
    >>> alarm([record]).level
    'collapsed'
    """
    if not history and chosen_weighted is None:
        return Alarm("calm", "nothing is known yet")
    last = history[-1] if history else {}
    weighted = last.get("weighted", 1) if chosen_weighted is None else chosen_weighted
    gap = last.get("val_mixture", 0.0) - last.get("val_discrete", 0.0)
    if weighted == 0:
        seen = (
            f", while the mixture reaches {last['val_mixture']:.1%}"
            if "val_mixture" in last
            else ""
        )
        return Alarm(
            "collapsed",
            f"collapsed: the chosen architecture has no operation with weights{seen}. Choose by "
            "perturbation (darts-pt), or draw weights (drnas, gdas)",
        )
    signs = []
    run = [record.get("weighted", 1) == 0 for record in history]
    if sum(run) >= STEADY:
        signs.append(f"in {sum(run)} of {len(run)} epochs nothing with weights was strongest")
    if last.get("skip_share", 0.0) > SKIPS:
        signs.append(f"{last['skip_share']:.0%} of the strongest operations are identities")
    curved = [record["eigenvalue"] for record in history if "eigenvalue" in record]
    if gap > GAP and curved and curved[-1] > RISE * min(curved):
        signs.append(
            f"the strongest architecture alone has {gap:.1%} less accuracy than the mixture, and "
            f"the loss has become {curved[-1] / max(min(curved), 1e-12):.1f} times as sharp"
        )
    if signs:
        return Alarm("leaning", "leaning to identities: " + "; ".join(signs))
    return Alarm("calm", "no sign of collapse")
