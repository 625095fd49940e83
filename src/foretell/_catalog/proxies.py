"""Zero-cost proxies: scores of an untrained network."""

from __future__ import annotations

from foretell._catalog.row import Row

_ROOM = "foretell.evidence.zero_cost"

ROWS: tuple[Row, ...] = (
    Row(
        "grad-norm",
        f"{_ROOM}.grad_norm:GradNorm",
        "norm of the gradient of each layer",
        "Abdelfattah et al., ICLR 2021",
    ),
    Row(
        "snip",
        f"{_ROOM}.snip:SNIP",
        "how much the loss feels each weight",
        "Lee et al., ICLR 2019",
    ),
    Row(
        "grasp",
        f"{_ROOM}.grasp:GraSP",
        "what the flow of gradients loses without a weight",
        "Wang et al., ICLR 2020",
    ),
    Row(
        "fisher",
        f"{_ROOM}.fisher:Fisher",
        "what the loss would change without a channel",
        "Turner et al., ICLR 2020",
    ),
    Row(
        "synflow",
        f"{_ROOM}.synflow:SynFlow",
        "what flows from input to output by the absolute weights (logarithm); reads no data",
        "Tanaka et al., NeurIPS 2020",
    ),
    Row(
        "jacob-cov",
        f"{_ROOM}.jacob_cov:JacobCov",
        "how different the gradients by different inputs are",
        "Mellor et al., 2020",
    ),
    Row(
        "naswot",
        f"{_ROOM}.naswot:NASWOT",
        "how different the linear regions of the examples are",
        "Mellor et al., ICML 2021",
    ),
    Row(
        "epe-nas",
        f"{_ROOM}.epe_nas:EPENAS",
        "how much the gradients by inputs of one class are alike",
        "Lopes et al., ICANN 2021",
    ),
    Row(
        "zen",
        f"{_ROOM}.zen:Zen",
        "how much features of random weights tell inputs apart; reads no data",
        "Lin et al., ICCV 2021",
        quick={"batch": 4},
    ),
    Row(
        "zico",
        f"{_ROOM}.zico:ZiCo",
        "gradients that are large and alike in all batches",
        "Li et al., ICLR 2023",
    ),
    Row(
        "ntk-cond",
        f"{_ROOM}.ntk_cond:NTKCond",
        "condition of the neural tangent kernel; lower is better",
        "Chen et al., ICLR 2021",
    ),
    Row(
        "linear-regions",
        f"{_ROOM}.linear_regions:LinearRegions",
        "linear regions on the way from an example to the next",
        "Chen et al., ICLR 2021; Hanin & Rolnick, ICML 2019",
    ),
    Row(
        "te-nas",
        f"{_ROOM}.te_nas:TENAS",
        "ranks of ntk-cond and linear-regions together",
        "Chen et al., ICLR 2021",
        tags=frozenset({"aggregate"}),
    ),
    Row(
        "l2-norm",
        f"{_ROOM}.l2_norm:L2Norm",
        "norm of the weights of each layer",
        "Abdelfattah et al., ICLR 2021",
    ),
    Row(
        "plain",
        f"{_ROOM}.plain:Plain",
        "gradient times weight, with its sign",
        "Abdelfattah et al., ICLR 2021",
    ),
    Row(
        "n-params",
        f"{_ROOM}.n_params:NParams",
        "the number of parameters: a baseline",
        "Ning et al., NeurIPS 2021",
        tags=frozenset({"baseline"}),
    ),
    Row(
        "n-flops",
        f"{_ROOM}.n_flops:NFlops",
        "the flops of a forward pass: a baseline",
        "Ning et al., NeurIPS 2021",
        tags=frozenset({"baseline"}),
    ),
    Row(
        "n-layers",
        f"{_ROOM}.n_layers:NLayers",
        "the number of layers with weights: a baseline",
        "Tybl & Neumann, CVPR 2025",
        tags=frozenset({"baseline"}),
    ),
    Row(
        "az-expressivity",
        f"{_ROOM}.az_nas:Expressivity",
        "how isotropic the features of the blocks are",
        "Lee & Ham, CVPR 2024",
    ),
    Row(
        "az-progressivity",
        f"{_ROOM}.az_nas:Progressivity",
        "how much that grows from block to block",
        "Lee & Ham, CVPR 2024",
    ),
    Row(
        "az-trainability",
        f"{_ROOM}.az_nas:Trainability",
        "how well gradients pass the blocks",
        "Lee & Ham, CVPR 2024",
    ),
    Row(
        "az-nas",
        f"{_ROOM}.az_nas:AZNAS",
        "ranks of the three and of the flops together",
        "Lee & Ham, CVPR 2024",
        tags=frozenset({"aggregate"}),
    ),
    Row(
        "meco",
        f"{_ROOM}.meco:MeCo",
        "least eigenvalues of the correlations between channels",
        "Jiang et al., NeurIPS 2023",
    ),
    Row(
        "swap",
        f"{_ROOM}.swap:SWAP",
        "different patterns of units over examples",
        "Peng et al., ICLR 2024",
    ),
    Row(
        "vkdnw",
        f"{_ROOM}.vkdnw:VKDNW",
        "layers, and how even the spectrum of the Fisher information is",
        "Tybl & Neumann, CVPR 2025",
    ),
    Row(
        "consensus",
        f"{_ROOM}.consensus:Consensus",
        "a fixed sum of ranks that needs no label: what is asked where nothing is known",
        tags=frozenset({"aggregate"}),
    ),
)
