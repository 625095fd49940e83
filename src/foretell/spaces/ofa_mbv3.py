"""The once-for-all MobileNetV3 space."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from foretell.graphs.computation import Computations
from foretell.graphs.view import Graphs, chain
from foretell.spaces.base import Choice, Costs, Rows, Space
from foretell.spaces.parts.settings import image_shape, numbers, undivided

STAGES, DEEPEST = 5, 4
DEPTHS, KERNELS, EXPANDS = (2, 3, 4), (3, 5, 7), (3, 4, 6)
_STAGE = re.compile(r"((?:k[357]e[346])(?:-k[357]e[346]){1,3})")


class OFAMBv3(Space):
    """Sub-networks of the once-for-all MobileNetV3: resolution, and five stages of 2 to 4 blocks.

    Each block has a depthwise kernel of 3, 5 or 7 and expands its channels 3, 4 or 6 times; stages
    have 24, 40, 80, 112 and 160 channels, the 2nd, 4th and 5th squeeze-excitation, the last three
    hard-swish. Columns are the resolution, then for each stage its depth, 4 kernels and 4
    expansions; those beyond the depth do not apply. 2.2e19 rows for each resolution.

    Strings: `r224+k3e4-k5e6+...`, the resolution and each stage's blocks; read are also settings
    of the published supernet as JSON: {"ks": [20], "e": [20], "d": [5], "image_size": 224}.

    Args:
        resolutions: options for the side to which images are brought.
        width: multiplies all channels; the published supernets have 1.0 and 1.2.
        input_shape: (channels, height, width).
        n_outputs: number of classes.

    References: Cai et al., Once-for-All, ICLR 2020.

    >>> space = OFAMBv3()
    >>> text = "r224" + 5 * "+k3e3-k3e3"
    >>> space.costs(space.from_str([text])).params
    array([3410792])
    """

    name = "ofa-mbv3"

    def __init__(
        self,
        *,
        resolutions: Sequence[int] = (128, 160, 192, 224),
        width: float = 1.0,
        input_shape: Sequence[int] = (3, 224, 224),
        n_outputs: int = 1000,
    ) -> None:
        self.resolutions = numbers(self.name, "resolutions", resolutions, 8, 4096, whole=True)
        (self.width,) = numbers(self.name, "width", [width], 0.1, 10)
        declared = [Choice(self.resolutions, "resolution", mix=True)]
        for s in range(1, STAGES + 1):
            declared += [
                Choice(DEPTHS, f"depth_{s}", mix=True),
                Choice(KERNELS, f"kernel_{s}", repeat=f"depth_{s}", mix=True),
                Choice(EXPANDS, f"expand_{s}", repeat=f"depth_{s}", mix=True),
            ]
        self._declared = tuple(declared)
        super().__init__(input_shape=input_shape, n_outputs=n_outputs)
        image_shape(self.name, self.input_shape)

    def _stages(self, rows: Rows) -> tuple[Rows, Rows, Rows]:
        """Depths (n, 5), kernels and expansions (n, 5, 4) as numbers of options."""
        parts = rows[:, 1:].reshape(len(rows), STAGES, 1 + 2 * DEEPEST)
        return parts[:, :, 0], parts[:, :, 1 : 1 + DEEPEST], parts[:, :, 1 + DEEPEST :]

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Resolutions, and blocks such as "2:k5e6" of the second stage."""
        blocks = [f"{s}:k{k}e{e}" for s in range(1, STAGES + 1) for k in KERNELS for e in EXPANDS]
        return ("input", "output", *(f"r{side}" for side in self.resolutions), *blocks)

    def graphs(self, X: Rows) -> Graphs:
        """The network as a chain: the resolution, then the blocks.

        Shapes: ops (n, 23), adjacency (n, 23, 23).
        """
        rows = self.canonical_form(X)
        depth, kernel, expand = self._stages(rows.astype(np.intp))
        first = 2 + len(self.resolutions)
        word = first + 9 * np.arange(STAGES)[None, :, None] + 3 * kernel + expand
        there = np.arange(DEEPEST) < depth[:, :, None] + DEPTHS[0]
        ops = np.zeros((len(rows), 3 + STAGES * DEEPEST), dtype=np.int8)
        ops[:, 1], ops[:, -1] = rows[:, 0] + 2, 1
        ops[:, 2:-1] = np.where(there, word, -1).reshape(len(rows), STAGES * DEEPEST)
        return Graphs(ops, chain(ops >= 0))

    def to_str(self, X: ArrayLike) -> list[str]:
        """Resolution and blocks."""
        rows = self.canonical_form(self.check(X))
        return ["+".join([f"r{r}", *map(_words, stages)]) for r, stages in map(self._plan, rows)]

    def _plan(self, x: Rows) -> tuple[int, list[list[tuple[int, int]]]]:
        """Resolution, and (kernel, expansion) of each block of each stage."""
        depth, kernel, expand = (part[0].tolist() for part in self._stages(x[None]))
        return self.resolutions[int(x[0])], [
            [(KERNELS[k[i]], EXPANDS[e[i]]) for i in range(DEPTHS[d])]
            for d, k, e in zip(depth, kernel, expand, strict=True)
        ]

    def _parse(self, text: object) -> list[int]:
        plain = str(text).strip()
        if plain.startswith("{"):
            return self._settings(plain)
        side, *stages = plain.split("+")
        if side not in [f"r{r}" for r in self.resolutions] or len(stages) != STAGES:
            raise self._bad_string(text, side if len(stages) == STAGES else f"{len(stages)} stages")
        row = [[f"r{r}" for r in self.resolutions].index(side)]
        for stage in stages:
            if not _STAGE.fullmatch(stage):
                raise self._bad_string(text, stage)
            blocks = [(int(word[1]), int(word[3])) for word in stage.split("-")]
            row += _columns(blocks)
        return row

    def _settings(self, text: str) -> list[int]:
        """The row of a published setting."""
        try:
            given = json.loads(text)
            side = given.get("image_size", given.get("r", [self.resolutions[-1]]))
            side = side[0] if isinstance(side, list) else side
            row = [self.resolutions.index(int(side))]
            ks, es, ds = ([int(v) for v in given[name]] for name in ("ks", "e", "d"))
            if len(ks) != STAGES * DEEPEST or len(es) != len(ks) or len(ds) != STAGES:
                raise ValueError("20 kernels, 20 expansions and 5 depths")
            for s, d in enumerate(ds):
                DEPTHS.index(d)
                at = range(s * DEEPEST, s * DEEPEST + d)
                row += _columns([(ks[i], es[i]) for i in at])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._bad_string(text, error) from None
        return row

    def by_hand(self) -> tuple[str, str]:
        """Depth 3, kernel 5, expansion 4 everywhere, at the largest resolution."""
        stages = "+".join(["-".join(["k5e4"] * 3)] * STAGES)
        return "middle sub-network", f"r{max(self.resolutions)}+{stages}"

    def build(self, x: Any, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """The sub-network with weights of its own."""
        from foretell.nets.drawings.ofa import plan
        from foretell.nets.ofa import OFANet

        channels, *sides = image_shape(self.name, input_shape)
        side, stages = self._plan(self.canonical_form(self._row(x))[0])
        side = 0 if sides == [side, side] else side
        return OFANet(plan(stages, self.width), side, channels, n_outputs)

    def supernet(self, input_shape: tuple[int, ...], n_outputs: int, *, divisor: int = 1) -> Any:
        """The largest network, of which each row has a part: kernels, channels, depths.

        Args: as in `Space.supernet`.
        """
        from foretell.nets.ofa import ofa_supernet

        undivided(self.name, divisor)
        options = [site.options for site in self.mixture().sites]
        channels = image_shape(self.name, input_shape)[0]
        return ofa_supernet(options, STAGES, self.width, channels, n_outputs)

    def draw(self, x: ArrayLike) -> Computations:
        """What `build` makes, drawn without it."""
        from foretell.nets.drawings.ofa import draw

        image = image_shape(self.name, self.input_shape)
        resolution, stages = self._plan(self.canonical_form(self._row(x))[0])
        return draw(stages, resolution, self.width, image, self.n_outputs)

    def costs(self, X: ArrayLike) -> Costs:
        """Sums over the computational graphs, a millisecond each."""
        graphs = self.computations(X)
        return Costs(graphs.total(graphs.params), graphs.total(graphs.flops))


def _words(blocks: Sequence[tuple[int, int]]) -> str:
    return "-".join(f"k{k}e{e}" for k, e in blocks)


def _columns(blocks: Sequence[tuple[int, int]]) -> list[int]:
    rest = [0] * (DEEPEST - len(blocks))
    kernels = [KERNELS.index(k) for k, _ in blocks]
    expands = [EXPANDS.index(e) for _, e in blocks]
    return [DEPTHS.index(len(blocks)), *kernels, *rest, *expands, *rest]
