"""Published tables, as downloaded."""

from __future__ import annotations

from foretell._catalog.row import Row

ROWS: tuple[Row, ...] = (
    Row(
        "tnb",
        "foretell.tables.readers.tnb:TNBFiles",
        "transnas-bench_v*.pth of TransNAS-Bench-101",
        "Duan et al., CVPR 2021",
    ),
    Row(
        "ofa",
        "foretell.tables.readers.ofa:OFAFiles",
        "once-for-all MobileNetV3: files or a folder of settings and accuracies (.dict)",
        "Cai et al., ICLR 2020",
    ),
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
    Row(
        "nb201-digits",
        "foretell.tables.readers.nb201_digits:NB201DigitsFiles",
        "comes with the package: small cells of nb201, really trained on digits, whole curves",
    ),
)
