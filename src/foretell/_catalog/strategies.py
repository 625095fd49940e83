"""Strategies: which rows to train next."""

from __future__ import annotations

from foretell._catalog.row import Row

ROWS: tuple[Row, ...] = (
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
