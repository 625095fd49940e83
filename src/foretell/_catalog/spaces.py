"""Search spaces."""

from __future__ import annotations

from foretell._catalog.row import Row

ROWS: tuple[Row, ...] = (
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
    Row(
        "tnb-micro",
        "foretell.spaces.tnb_micro:TNBMicro",
        "TransNAS-Bench-101 cells: 6 edges, 4 operations, 4,096 rows",
        "Duan et al., CVPR 2021",
        quick={"channels": 4, "modules": "24", "input_shape": (3, 16, 16), "n_outputs": 3},
    ),
    Row(
        "tnb-macro",
        "foretell.spaces.tnb_macro:TNBMacro",
        "TransNAS-Bench-101 skeletons: 4 to 6 residual modules, 3,256 rows",
        "Duan et al., CVPR 2021",
        quick={"channels": 2, "input_shape": (1, 16, 16), "n_outputs": 3},
    ),
    Row(
        "ofa-mbv3",
        "foretell.spaces.ofa_mbv3:OFAMBv3",
        "once-for-all MobileNetV3: resolution, depths, kernels and expansions, 8.7e19 rows",
        "Cai et al., ICLR 2020",
        quick={"resolutions": (16, 24), "width": 0.2, "input_shape": (1, 16, 16), "n_outputs": 3},
    ),
    Row(
        "darts-s1",
        "foretell.spaces.darts_s:DartsS1",
        "the DARTS space with few operations: two operations an edge, different on each",
        "Zela et al., ICLR 2020",
        quick={"channels": 4, "n_cells": 3, "input_shape": (1, 8, 8)},
    ),
    Row(
        "darts-s2",
        "foretell.spaces.darts_s:DartsS2",
        "the DARTS space with few operations: skip connection or 3x3 separable convolution",
        "Zela et al., ICLR 2020",
        quick={"channels": 4, "n_cells": 3, "input_shape": (1, 8, 8)},
    ),
    Row(
        "darts-s3",
        "foretell.spaces.darts_s:DartsS3",
        "the DARTS space with few operations: as darts-s2, its supernet with none",
        "Zela et al., ICLR 2020",
        quick={"channels": 4, "n_cells": 3, "input_shape": (1, 8, 8)},
    ),
    Row(
        "darts-s4",
        "foretell.spaces.darts_s:DartsS4",
        "the DARTS space with few operations: 3x3 separable convolution or noise",
        "Zela et al., ICLR 2020",
        quick={"channels": 4, "n_cells": 3, "input_shape": (1, 8, 8)},
    ),
)
