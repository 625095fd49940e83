"""Few-shot NAS, of any method."""

from __future__ import annotations

from foretell.supernets.method import Method
from foretell.supernets.recipes import parts_of
from foretell.supernets.wrapper import FewShot, Wrapper


def few_shot(
    method: str = "rsws", site: int | None = 0, share: float = 0.5
) -> tuple[Method, Wrapper]:
    """One supernet, then one for each option of a site, which goes on from its weights.

    References: Zhao et al., Few-shot NAS, ICML 2021.
    """
    return parts_of(method), FewShot(site, share)
