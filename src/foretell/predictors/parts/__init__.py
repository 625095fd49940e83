"""Parts that predictors are built of.

`features` (a regressor on encodings), `targets` (ranks or standardised values), `exact` (Gaussian
processes with any distances), `sparse` (through inducing points), `neural` (ensembles of torch
networks, trained as one), `feedforward`, `graph_net`, `global_net`, `transformer` and `members`
(their layers), `losses`, `bayes` (posteriors of weights), `blend` (weights of several),
`predicted` (mean and deviation of any regressor), `on_features` (any regressor on any encodings).
"""
