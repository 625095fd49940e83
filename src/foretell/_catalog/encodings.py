"""Encodings: features of a row."""

from __future__ import annotations

from foretell._catalog.row import Row

ROWS: tuple[Row, ...] = (
    Row(
        "one-hot",
        "foretell.encodings.onehot:OneHot",
        "one bit for each option of each decision",
        "White et al., NeurIPS 2020",
    ),
    Row(
        "numbers",
        "foretell.encodings.numbers:Numbers",
        "options that are numbers, ordered and scaled, and their totals over repeated decisions",
    ),
    Row(
        "options",
        "foretell.encodings.options:Options",
        "bits and counts of the options taken, but of numbers with many",
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
        "flow",
        "foretell.encodings.flow:Flow",
        "which operations a signal has passed, by the variance it brings",
        "Veit et al., NeurIPS 2016",
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
    Row(
        "measures",
        "foretell.encodings.measures:Measures",
        "numbers of the computational graph: counts, sizes, ways from input to output",
        needs=frozenset({"costs"}),
    ),
    Row(
        "foretold",
        "foretell.transfer.foretold:Foretold",
        "score of the shipped prior, which has learnt from tables of other spaces",
        "Han et al., SDM 2023",
        needs=frozenset({"costs"}),
    ),
)
