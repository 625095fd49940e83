"""TransNAS-Bench-101, the space of skeletons."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell.errors import SettingError
from foretell.graphs.computation import Computations
from foretell.spaces.base import Choice, Costs, Rows, Space
from foretell.spaces.parts.settings import at_least, image_shape

_TEXT = re.compile(r"(\d+)-([1-4]{4,6})-basic")


class TNBMacro(Space):
    """The skeletons of TransNAS-Bench-101: 4 to 6 modules of two residual blocks; 3,256 rows.

    Columns are the depth and what each module does: 1 nothing, 2 double the channels, 3 halve the
    size, 4 both. Channels are doubled 1 to 3 times, the size is halved 1 to 4 times. Strings are
    the published ones, such as `64-1234-basic`.

    Args:
        channels: after the stem, even.
        input_shape: (channels, height, width).
        n_outputs: number of classes.

    References: Duan et al., TransNAS-Bench-101, CVPR 2021.

    >>> space = TNBMacro()
    >>> space.size, space.to_str(space.from_str(["64-1234-basic"]))
    (3256, ['64-1234-basic'])
    """

    name = "tnb-macro"
    rule = "1 to 3 modules that double the channels (2 or 4), 1 to 4 that halve the size (3 or 4)"
    _declared = (
        Choice((4, 5, 6), "depth"),
        Choice((1, 2, 3, 4), "module", repeat="depth"),
    )

    def __init__(
        self,
        *,
        channels: int = 64,
        input_shape: tuple[int, ...] = (3, 224, 224),
        n_outputs: int = 75,
    ) -> None:
        at_least(channels=(channels, 2))
        if channels % 2:
            raise SettingError("channels of space 'tnb-macro'", expected="even", got=channels)
        self.channels = channels
        super().__init__(input_shape=input_shape, n_outputs=n_outputs)

    def valid(self, X: Rows) -> NDArray[np.bool_]:
        """Rows that double and halve as often as the rule says."""
        modules = np.where(self.active(X), X, 0)[:, 1:]
        doubled, halved = (modules % 2 == 1).sum(axis=1), (modules >= 2).sum(axis=1)
        valid: NDArray[np.bool_] = (doubled >= 1) & (doubled <= 3) & (halved >= 1) & (halved <= 4)
        return valid

    def to_str(self, X: ArrayLike) -> list[str]:
        """Published strings."""
        modules = ["".join(map(str, self._modules(x))) for x in self.check(X)]
        return [f"{self.channels}-{digits}-basic" for digits in modules]

    def _parse(self, text: object) -> list[int]:
        found = _TEXT.fullmatch(str(text).strip())
        if found is None or int(found[1]) != self.channels:
            raise self._bad_string(text, text)
        digits = [int(digit) - 1 for digit in found[2]]
        return [len(digits) - 4, *digits, *[0] * (6 - len(digits))]

    def by_hand(self) -> tuple[str, str]:
        """Halves and doubles twice, by turns with modules that do neither, as ResNets do."""
        return "residual network, doubled and halved twice", f"{self.channels}-1414-basic"

    def _modules(self, x: ArrayLike) -> list[int]:
        depth, *modules = self._row(x)[0].tolist()
        return [module + 1 for module in modules[: depth + 4]]

    def build(self, x: Any, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """Stem, modules of two residual blocks, mean over pixels, linear."""
        from foretell.nets.tnb import Basic, TNBNet

        in_channels, _, _ = image_shape(self.name, input_shape)
        return TNBNet(self._modules(x), Basic, in_channels, n_outputs, self.channels)

    def draw(self, x: ArrayLike) -> Computations:
        """What `build` makes, drawn without it."""
        from foretell.nets.drawings.tnb import basic, draw

        image = image_shape(self.name, self.input_shape)
        return draw(self._modules(x), basic, image, self.n_outputs, self.channels)

    def costs(self, X: ArrayLike) -> Costs:
        """Sums over the computational graphs, a millisecond each."""
        graphs = self.computations(X)
        return Costs(graphs.total(graphs.params), graphs.total(graphs.flops))
