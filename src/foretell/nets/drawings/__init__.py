"""Computational graphs of the spaces' networks, drawn without PyTorch.

One file a builder of `foretell.nets`, with its arguments: what a network computes, on a `Canvas` of
`foretell.graphs.computation`, hundreds of times as fast as to build it and watch it. Tests hold the
two together.
"""
