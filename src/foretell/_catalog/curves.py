"""Methods that go on a learning curve."""

from __future__ import annotations

from foretell._catalog.row import Row

ROWS: tuple[Row, ...] = (
    Row(
        "early-stop-acc",
        "foretell.evidence.curves.early_stop_acc:EarlyStopAcc",
        "the last validation accuracy",
        "Zoph et al., CVPR 2018",
    ),
    Row(
        "early-stop-loss",
        "foretell.evidence.curves.early_stop_loss:EarlyStopLoss",
        "the last validation loss",
        "Zoph et al., CVPR 2018",
    ),
    Row(
        "sotl",
        "foretell.evidence.curves.sotl:SoTL",
        "the sum of all training losses",
        "Ru et al., NeurIPS 2021",
    ),
    Row(
        "sotl-e",
        "foretell.evidence.curves.sotl_e:SoTLE",
        "the sum of the last training losses",
        "Ru et al., NeurIPS 2021",
    ),
    Row(
        "lce",
        "foretell.evidence.curves.lce:LCE",
        "a posterior of mixtures of eleven parametric families",
        "Domhan et al., IJCAI 2015",
        tags=frozenset({"std"}),
        quick={"chains": 4, "steps": 6},
        learns={"steps": 60},
    ),
    Row(
        "lce-m",
        "foretell.evidence.curves.lce_m:LCEM",
        "a posterior of monotone mixtures of four families",
        "Klein et al., ICLR 2017",
        tags=frozenset({"std"}),
        quick={"steps": 6},
        learns={"steps": 60},
    ),
    Row(
        "lcsvr",
        "foretell.evidence.curves.lcsvr:LcSVR",
        "a support vector machine on statistics of the start, fitted on whole curves",
        "Baker et al., 2017",
        quick={"draws": 5},
    ),
    Row(
        "lc-bnn",
        "foretell.evidence.curves.lc_bnn:LcBNN",
        "a Bayesian network that turns the start into basis curves, fitted on whole curves",
        "Klein et al., ICLR 2017",
        tags=frozenset({"std"}),
        quick={"hidden": 8, "burn_in": 30, "samples": 2, "every": 5, "chains": 1},
        learns={"burn_in": 600, "every": 20},
    ),
    Row(
        "lc-pfn",
        "foretell.evidence.curves.lc_pfn:LcPFN",
        "a network fitted on drawn curves, which extrapolates at once",
        "Adriaensen et al., NeurIPS 2023",
        tags=frozenset({"std"}),
    ),
)
