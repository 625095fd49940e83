"""The catalog: one frozen row per component; everything that lists components reads it.

A new component is its file, its oracle test and one row here. Contract tests, `foretell list`,
the documentation page and report labels follow from the row.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from foretell.errors import SettingError, need, unknown_name


@dataclass(frozen=True)
class Row:
    """One component: what it is called, where it lives, what it needs, where it comes from."""

    name: str
    target: str  # "module:Class", imported only when asked for
    summary: str
    reference: str = ""
    extra: str = ""  # the extra of pyproject.toml that brings `packages`
    packages: tuple[str, ...] = ()  # import names that must be present
    needs: frozenset[str] = frozenset()  # what a space must have, e.g. "costs"
    tags: frozenset[str] = frozenset()  # such as "std": it has an uncertainty
    aliases: tuple[str, ...] = ()  # other names under which it is found, but not listed
    quick: Mapping[str, Any] = field(default_factory=dict, hash=False)  # settings of contract tests
    learns: Mapping[str, Any] = field(default_factory=dict, hash=False)  # more: it must have learnt
    auto_from: int | None = None  # results with which `auto` compares it without being given time

    def load(self) -> Any:
        """Import and return the component's class, or say which extra is missing."""
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                raise need(package, self.extra, f"{self.name!r}")
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)


SPACES = (
    Row(
        "nb101",
        "foretell.spaces.nb101:NB101",
        "NAS-Bench-101 cell: graphs of up to 7 vertices and 9 edges, 423,624 classes",
        "Ying et al., ICML 2019",
        quick={"input_shape": (1, 16, 16)},
    ),
    Row(
        "nb201",
        "foretell.spaces.nb201:NB201",
        "NAS-Bench-201 cell: 6 edges, 5 operations, 15,625 rows",
        "Dong & Yang, ICLR 2020",
        tags=frozenset({"published-key"}),
        quick={"channels": 4, "n_cells": 1, "input_shape": (3, 8, 8)},
    ),
    Row(
        "nb301",
        "foretell.spaces.nb301:NB301",
        "DARTS cells, which NAS-Bench-301 covers: genotypes of two cells, 10^18 rows",
        "Liu et al., ICLR 2019; Siems et al., 2020",
        quick={"channels": 4, "n_cells": 3, "input_shape": (1, 8, 8)},
    ),
    Row(
        "darts",
        "foretell.spaces.nb301:NB301",
        "another name of nb301",
        "Liu et al., ICLR 2019",
        quick={"channels": 2, "n_cells": 3, "input_shape": (1, 5, 4)},
    ),
    Row(
        "nb-graph",
        "foretell.spaces.nb_graph:NBGraph",
        "NAS-Bench-Graph cell: graph networks of 4 operations on a tree, 26,206 networks",
        "Qin et al., NeurIPS 2022",
        quick={"hidden": 8, "input_shape": (6, 9), "n_outputs": 3},
    ),
    Row(
        "nb-nlp",
        "foretell.spaces.nb_nlp:NBNLP",
        "NAS-Bench-NLP: recurrent cells as recipes of up to 16 elementary operations",
        "Klyuchnikov et al., IEEE Access 2022",
        quick={"hidden": 4, "input_shape": (4, 3), "n_outputs": 3},
    ),
    Row(
        "mobile",
        "foretell.spaces.mobile:Mobile",
        "small image networks for own data: stages of mobile blocks, 373,248 rows and more",
        "Tan et al., CVPR 2019",
        quick={"input_shape": (1, 12, 9), "n_outputs": 3},
    ),
    Row(
        "tabular",
        "foretell.spaces.tabular:Tabular",
        "multilayer perceptrons for feature vectors: depth, widths, activation, norm, dropout",
        "Gorishniy et al., NeurIPS 2021",
        quick={"input_shape": (7,), "n_outputs": 2},
    ),
    Row(
        "signal",
        "foretell.spaces.signal:Signal",
        "convolutions over time for signals: depth, width, kernel, stride, shortcuts, dropout",
        "Wang et al., IJCNN 2017",
        quick={"max_depth": 3, "input_shape": (2, 13), "n_outputs": 3},
    ),
)

ENCODINGS = (
    Row(
        "one-hot",
        "foretell.encodings.onehot:OneHot",
        "one bit for each option of each decision",
        "White et al., NeurIPS 2020",
    ),
    Row(
        "adjacency-one-hot",
        "foretell.encodings.adjacency:AdjacencyOneHot",
        "edges of the graph view, one bit for each operation of each vertex",
        "White et al., NeurIPS 2020",
    ),
    Row(
        "adjacency-categorical",
        "foretell.encodings.adjacency:AdjacencyCategorical",
        "edges of the graph view, one number for the operation of each vertex",
        "White et al., NeurIPS 2020",
    ),
    Row(
        "path",
        "foretell.encodings.paths:Paths",
        "one bit for each sequence of operations from input to output; max_paths truncates",
        "White et al., NeurIPS 2020",
    ),
    Row(
        "canonical",
        "foretell.encodings.canonical:Canonical",
        "histograms of Weisfeiler-Lehman labels of the graph view",
        "Shervashidze et al., JMLR 2011",
    ),
    Row(
        "graph-stats",
        "foretell.encodings.graph_stats:GraphStats",
        "operations on vertices and along paths, depth, number of paths",
    ),
    Row(
        "edges",
        "foretell.encodings.edges:Edges",
        "how many edges lead from one operation to another",
        "Sugiyama & Borgwardt, NeurIPS 2015",
    ),
    Row(
        "depths",
        "foretell.encodings.depths:Depths",
        "how far from input and output each operation stands",
        "Borgwardt & Kriegel, ICDM 2005",
    ),
    Row(
        "sequence",
        "foretell.encodings.sequence:Sequence",
        "tokens: the edges into each vertex, then its operation, vertex by vertex",
        "Luo et al., NeurIPS 2018",
    ),
    Row(
        "graph-tensors",
        "foretell.encodings.graph_tensors:GraphTensors",
        "one-hot vertices and adjacency without dead vertices, as graph networks read them",
        "Wen et al., ECCV 2020",
    ),
    Row(
        "arch2vec",
        "foretell.encodings.arch2vec:Arch2Vec",
        "latent of a variational graph autoencoder, learnt without targets",
        "Yan et al., NeurIPS 2020",
        quick={"rows": 64, "steps": 5},
    ),
    Row(
        "cate",
        "foretell.encodings.cate:CATE",
        "states of a transformer that has learnt to fill in operations, without targets",
        "Yan et al., ICML 2021",
        quick={"rows": 64, "steps": 5},
    ),
    Row(
        "size",
        "foretell.encodings.size:Size",
        "logarithms of parameters and flops",
        "Ning et al., NeurIPS 2021",
        needs=frozenset({"costs"}),
    ),
)

# In the order in which `auto` compares them, given time: those first that promise most in a second.
PREDICTORS: tuple[Row, ...] = (
    Row(
        "gp",
        "foretell.predictors.gp:GP",
        "Gaussian process, one length scale for each encoding",
        "White et al., NeurIPS 2021",
        tags=frozenset({"std"}),
        auto_from=0,
    ),
    Row(
        "gp-wl",
        "foretell.predictors.gp_wl:GPWL",
        "Gaussian process with the Weisfeiler-Lehman graph kernel (NAS-BOWL)",
        "Ru et al., ICLR 2021",
        tags=frozenset({"std"}),
        auto_from=0,
    ),
    Row(
        "var-sparse-gp",
        "foretell.predictors.var_sparse_gp:VarSparseGP",
        "Gaussian process through inducing points (variational, natural gradients)",
        "Hensman et al., UAI 2013",
        extra="gp",
        packages=("gpytorch",),
        tags=frozenset({"std"}),
        auto_from=0,
        quick={"points": 10, "steps": 5},
    ),
    Row(
        "bonas",
        "foretell.predictors.bonas:BONAS",
        "graph network with a global vertex, Bayesian linear regression on it",
        "Shi et al., NeurIPS 2020",
        tags=frozenset({"std"}),
        auto_from=0,
        quick={"hidden": 16, "members": 2, "epochs": 5, "min_steps": 10},
        learns={"min_steps": 80},
    ),
    Row(
        "bayes-lin",
        "foretell.predictors.bayes_lin_reg:BayesLinReg",
        "Bayesian linear regression on encodings and their products",
        "Bishop 2006; White et al., NeurIPS 2021",
        tags=frozenset({"std"}),
        aliases=("bayes-lin-reg",),
        auto_from=50,
    ),
    Row(
        "xgb",
        "foretell.predictors.xgb:XGB",
        "gradient-boosted trees (XGBoost)",
        "Chen & Guestrin, KDD 2016",
        extra="trees",
        packages=("xgboost",),
        auto_from=50,
        quick={"trees": 30},
    ),
    Row(
        "ranker",
        "foretell.predictors.ranker:Ranker",
        "a network that compares two architectures, and a tournament with the known ones",
        "Chen et al., CVPR 2021",
        tags=frozenset({"std"}),
        auto_from=50,
        quick={"hidden": 16, "members": 2, "epochs": 5, "min_steps": 10},
        learns={"min_steps": 80},
    ),
    Row(
        "gates",
        "foretell.predictors.gates:GATES",
        "operations as gates on the information that flows through the graph",
        "Ning et al., ECCV 2020",
        tags=frozenset({"std"}),
        quick={"hidden": 16, "members": 2, "epochs": 5, "min_steps": 10},
        learns={"min_steps": 80},
    ),
    Row(
        "gcn",
        "foretell.predictors.gcn:GCN",
        "ensemble of bidirectional graph networks, trained to rank",
        "Wen et al., ECCV 2020",
        tags=frozenset({"std"}),
        quick={"hidden": 16, "members": 2, "epochs": 5, "min_steps": 10},
        learns={"epochs": 100},
    ),
    Row(
        "brp",
        "foretell.predictors.brp:BRP",
        "which of two is better: a graph network with a global vertex and a linear map",
        "Dudziak et al., NeurIPS 2020",
        tags=frozenset({"std"}),
        quick={"hidden": 16, "members": 2, "epochs": 5, "min_steps": 10},
        learns={"min_steps": 80},
    ),
    Row(
        "lgb",
        "foretell.predictors.lgb:LGB",
        "gradient-boosted trees (LightGBM)",
        "Ke et al., NeurIPS 2017",
        extra="trees",
        packages=("lightgbm",),
        quick={"trees": 30},
    ),
    Row(
        "sparse-gp",
        "foretell.predictors.sparse_gp:SparseGP",
        "Gaussian process through inducing points (collapsed bound)",
        "Titsias, AISTATS 2009",
        extra="gp",
        packages=("gpytorch",),
        tags=frozenset({"std"}),
        quick={"points": 10, "steps": 5},
    ),
    Row(
        "nasbot-gp",
        "foretell.predictors.nasbot_gp:NASBOTGP",
        "Gaussian process on optimal transport between layers (NASBOT)",
        "Kandasamy et al., NeurIPS 2018",
        tags=frozenset({"std"}),
    ),
    Row(
        "rf",
        "foretell.predictors.rf:RF",
        "random forest",
        "Breiman, Machine Learning 2001",
        tags=frozenset({"std"}),
        quick={"trees": 20},
        learns={"trees": 100},
    ),
    Row(
        "gcn-two-stage",
        "foretell.predictors.gcn_two_stage:TwoStageGCN",
        "a graph network rejects broken networks, another ranks the others",
        "Wen et al., ECCV 2020",
        tags=frozenset({"std"}),
        quick={"settings": {"hidden": 16, "members": 2, "epochs": 5, "min_steps": 10}},
        learns={"settings": {"members": 2, "min_steps": 80}},
    ),
    Row(
        "ta-gates",
        "foretell.predictors.ta_gates:TAGATES",
        "gates whose operations learn for a few steps, forward and back",
        "Ning et al., NeurIPS 2022",
        tags=frozenset({"std"}),
        quick={"steps": 2, "layers": 2, "members": 2, "epochs": 5, "min_steps": 10},
        learns={"min_steps": 80},
    ),
    Row(
        "pinat",
        "foretell.predictors.pinat:PINAT",
        "transformer with heads that sum over the edges of the graph",
        "Lu et al., AAAI 2023",
        tags=frozenset({"std"}),
        quick={"hidden": 16, "members": 2, "epochs": 5, "min_steps": 10},
        learns={"min_steps": 80},
    ),
    Row(
        "nar-former",
        "foretell.predictors.nar_former:NARFormer",
        "transformer on tokens of operation, place and sources",
        "Yi et al., CVPR 2023",
        tags=frozenset({"std"}),
        quick={"hidden": 16, "blocks": 1, "epochs": 5, "min_steps": 10},
        learns={"min_steps": 80},
    ),
    Row(
        "flan",
        "foretell.predictors.flan:FLAN",
        "information flow and graph attention, with any encodings beside",
        "Akhauri & Abdelfattah, ICML 2024",
        tags=frozenset({"std"}),
        quick={"members": 2, "layers": 2, "epochs": 5, "min_steps": 10},
        learns={"min_steps": 80},
    ),
    Row(
        "mlp",
        "foretell.predictors.mlp:MLP",
        "ensemble of feed-forward networks",
        "White et al., NeurIPS 2021",
        tags=frozenset({"std"}),
        quick={"epochs": 10, "min_steps": 10, "members": 2},
        learns={"epochs": 100},
    ),
    Row(
        "bananas",
        "foretell.predictors.bananas:Bananas",
        "ensemble of feed-forward networks on the path encoding",
        "White et al., AAAI 2021",
        tags=frozenset({"std"}),
        quick={"epochs": 10, "min_steps": 10, "members": 2},
        learns={"epochs": 100},
    ),
    Row(
        "dngo",
        "foretell.predictors.dngo:DNGO",
        "Bayesian linear regression on what a network has learnt",
        "Snoek et al., ICML 2015",
        tags=frozenset({"std"}),
        quick={"epochs": 10, "min_steps": 10, "members": 2},
        learns={"epochs": 100},
    ),
    Row(
        "bohamiann",
        "foretell.predictors.bohamiann:Bohamiann",
        "Bayesian neural network, sampled by SGHMC",
        "Springenberg et al., NeurIPS 2016",
        tags=frozenset({"std"}),
        quick={"burn_in": 20, "samples": 2, "every": 5, "chains": 2},
        learns={"burn_in": 300, "every": 20},
    ),
    Row(
        "ngb",
        "foretell.predictors.ngb:NGB",
        "natural gradient boosting: trees that predict a distribution",
        "Duan et al., ICML 2020",
        extra="trees",
        packages=("ngboost",),
        tags=frozenset({"std"}),
        quick={"trees": 20},
        learns={"trees": 100},
    ),
    Row(
        "arch2vec",
        "foretell.predictors.arch2vec:Arch2Vec",
        "Gaussian process on a latent that was learnt without targets",
        "Yan et al., NeurIPS 2020",
        tags=frozenset({"std"}),
        quick={"steps": 5},
    ),
    Row(
        "nao",
        "foretell.predictors.nao:NAO",
        "recurrent encoder, predictor and decoder of the sequence of tokens",
        "Luo et al., NeurIPS 2018",
        tags=frozenset({"std"}),
        quick={"hidden": 8, "members": 1, "epochs": 2, "min_steps": 5},
        learns={"min_steps": 80, "lr": 0.03},
    ),
    Row(
        "seminas",
        "foretell.predictors.seminas:SemiNAS",
        "nao that also learns from architectures that a first nao has judged",
        "Luo et al., NeurIPS 2020",
        tags=frozenset({"std"}),
        quick={
            "unlabelled": 30,
            "epochs": 1,
            "settings": {"hidden": 8, "members": 1, "epochs": 2, "min_steps": 5},
        },
        learns={"unlabelled": 60, "epochs": 10, "settings": {"hidden": 8, "min_steps": 80}},
    ),
    Row(
        "auto",
        "foretell.predictors.auto:Auto",
        "compares the others by cross-validation, blends them, and says what it chose",
        "Breiman, Machine Learning 1996",
        tags=frozenset({"std"}),
        quick={"candidates": ("gp", "rf"), "folds": 2},
    ),
    Row(
        "mean",
        "foretell.predictors.baselines:Mean",
        "the mean of the targets: a baseline",
        tags=frozenset({"baseline", "std"}),
    ),
    Row(
        "n-params",
        "foretell.predictors.baselines:NParams",
        "the number of parameters: a baseline",
        "Ning et al., NeurIPS 2021",
        needs=frozenset({"costs"}),
        tags=frozenset({"baseline"}),
    ),
    Row(
        "n-flops",
        "foretell.predictors.baselines:NFlops",
        "the flops of a forward pass: a baseline",
        "Ning et al., NeurIPS 2021",
        needs=frozenset({"costs"}),
        tags=frozenset({"baseline"}),
    ),
)

STRATEGIES = (
    Row(
        "asha",
        "foretell.strategies.asha:ASHA",
        "rows go on as soon as they are among the best 1/eta at their rung; no worker waits",
        "Li et al., MLSys 2020",
    ),
    Row(
        "neural-predictor",
        "foretell.strategies.neural_predictor:NeuralPredictor",
        "N random rows, fit, predict the space, then the best predicted rows",
        "Wen et al., ECCV 2020",
        quick={"n_train": 10, "predictor": "bayes-lin", "batch": 4, "explore": 0.25},
    ),
    Row(
        "regularized-evolution",
        "foretell.strategies.regularized_evolution:RegularizedEvolution",
        "mutants of the best of a few among the youngest results",
        "Real et al., AAAI 2019",
        quick={"population": 8, "sample_size": 3, "batch": 2},
    ),
    Row(
        "random",
        "foretell.strategies.random:Random",
        "rows drawn at random, without replacement",
        "Li & Talwalkar, UAI 2019",
    ),
    Row(
        "successive-halving",
        "foretell.strategies.successive_halving:SuccessiveHalving",
        "brackets of rows that are trained a little, of which the best 1/eta go on",
        "Jamieson & Talwalkar, AISTATS 2016",
    ),
)

PROXIES: tuple[Row, ...] = ()

BENCHMARKS: tuple[Row, ...] = (
    Row(
        "nb101",
        "foretell.tables.readers.nb101:NB101Files",
        "nasbench_only108.tfrecord, nasbench_full.tfrecord, or a .csv of its graphs",
        "Ying et al., ICML 2019",
    ),
    Row(
        "nb201",
        "foretell.tables.readers.nb201:NB201Files",
        "NAS-Bench-201-*.pth, NATS-tss-*.pickle.pbz2, or the folder NATS-tss-*-simple",
        "Dong & Yang, ICLR 2020",
    ),
    Row(
        "nb301",
        "foretell.tables.readers.nb301:NB301Files",
        "folder or .zip of the result files (.json) of its trained networks",
        "Siems et al., 2020",
    ),
    Row(
        "nb-nlp",
        "foretell.tables.readers.nb_nlp:NBNLPFiles",
        "folder or .zip of log_stats_model_*.json, or lines of JSON (.jsonl.gz)",
        "Klyuchnikov et al., IEEE Access 2022",
    ),
    Row(
        "nb-graph",
        "foretell.tables.readers.nb_graph:NBGraphFiles",
        "the tables of the package nas-bench-graph: nb-graph:cora, nb-graph:arxiv, ...",
        "Qin et al., NeurIPS 2022",
        extra="bench",
        packages=("nas_bench_graph",),
    ),
)

TRACKERS: tuple[Row, ...] = (
    Row("csv", "foretell.trackers.csv:CSV", "trials.csv and curves.csv in the folder"),
    Row(
        "tensorboard",
        "foretell.trackers.tensorboard:TensorBoard",
        "curves and hyperparameters, one TensorBoard run a network",
        extra="tensorboard",
        packages=("tensorboard",),
    ),
    Row(
        "mlflow",
        "foretell.trackers.mlflow:MLflow",
        "a parent run with one child a network, in mlflow.db or at MLFLOW_TRACKING_URI",
        extra="mlflow",
        packages=("mlflow", "sqlalchemy", "alembic"),
    ),
    Row(
        "wandb",
        "foretell.trackers.wandb:WandB",
        "one run a network in a group, offline unless WANDB_MODE says otherwise",
        extra="wandb",
        packages=("wandb",),
    ),
    Row(
        "optuna",
        "foretell.trackers.optuna:OptunaMirror",
        "every trial in an Optuna study, live: --optuna URL",
        extra="optuna",
        packages=("optuna",),
    ),
)

KINDS: dict[str, tuple[Row, ...]] = {
    "space": SPACES,
    "encoding": ENCODINGS,
    "predictor": PREDICTORS,
    "strategy": STRATEGIES,
    "proxy": PROXIES,
    "benchmark": BENCHMARKS,
    "tracker": TRACKERS,
}


def names(kind: str) -> list[str]:
    """Sorted catalog names of one kind."""
    return sorted(row.name for row in KINDS[kind])


def row(kind: str, name: str) -> Row:
    """The row of `name` or of an alias, or an error that lists the names and the nearest one."""
    for candidate in KINDS[kind]:
        if name in (candidate.name, *candidate.aliases):
            return candidate
    raise unknown_name(kind, name, names(kind))


def get(kind: str, name: str, *args: Any, **kwargs: Any) -> Any:
    """Instantiate the component `name` of `kind`."""
    make = row(kind, name).load()
    try:
        inspect.signature(make).bind(*args, **kwargs)
    except TypeError as error:
        known = [k for k in inspect.signature(make).parameters if k != "self"]
        raise SettingError(
            f"settings of {kind} {name!r}: {error}",
            expected=f"some of {', '.join(known)}" if known else "none",
        ) from error
    try:
        return make(*args, **kwargs)
    except TypeError as error:  # such as "5" where a number is compared
        raise SettingError(f"settings of {kind} {name!r}: {error}", got=kwargs) from error
