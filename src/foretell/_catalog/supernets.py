"""Supernets: one network that holds all of a space, and how an architecture is found in it."""

from __future__ import annotations

from foretell._catalog.row import Row

ROWS: tuple[Row, ...] = (
    Row(
        "darts",
        "foretell.supernets.recipes.darts:darts",
        "softmax over operations, gradient at the weights as they are",
        "Liu et al., ICLR 2019",
    ),
    Row(
        "darts-2nd",
        "foretell.supernets.recipes.darts:darts_2nd",
        "softmax over operations, gradient one step of the weights ahead",
        "Liu et al., ICLR 2019",
    ),
    Row(
        "gdas",
        "foretell.supernets.recipes.gdas:gdas",
        "one operation a site by the Gumbel trick, which alone runs",
        "Dong & Yang, CVPR 2019",
    ),
    Row(
        "drnas",
        "foretell.supernets.recipes.drnas:drnas",
        "weights of operations from a Dirichlet distribution that is learnt",
        "Chen et al., ICLR 2021",
    ),
    Row(
        "drnas-progressive",
        "foretell.supernets.recipes.drnas:drnas_progressive",
        "drnas in two stages: a part of the channels and all operations, then more and fewer",
        "Chen et al., ICLR 2021",
        quick={"divisors": (2, 1)},
    ),
    Row(
        "rsws",
        "foretell.supernets.recipes.rsws:rsws",
        "a random row a step; the best of many by inherited weights",
        "Li & Talwalkar, UAI 2019",
        aliases=("rsps",),
        quick={"n": 20, "batches": 1},
    ),
    Row(
        "darts-pt",
        "foretell.supernets.recipes.darts_pt:darts_pt",
        "darts, then site after site the operation whose removal costs most",
        "Wang et al., ICLR 2021",
        quick={"tune": 1},
    ),
    Row(
        "darts-pt-fixed-alpha",
        "foretell.supernets.recipes.darts_pt:darts_pt_fixed_alpha",
        "the same with equal weights of operations all along",
        "Wang et al., ICLR 2021",
        quick={"tune": 1},
    ),
)
