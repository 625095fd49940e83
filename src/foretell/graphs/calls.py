"""What calls of torch are in the vocabulary of all networks: their words, sizes and weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


WORDS: dict[str, str] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), "conv"),
    **dict.fromkeys((f"conv_transpose{k}d" for k in (1, 2, 3)), "conv-transposed"),
    **dict.fromkeys(("linear", "addmm", "bilinear"), "linear"),
    **dict.fromkeys(("embedding", "embedding_bag"), "embedding"),
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), "recurrent"),
    **dict.fromkeys(("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"), "recurrent"),
    **dict.fromkeys(("matmul", "rmatmul", "mm", "bmm", "baddbmm", "einsum", "mv", "dot"), "matmul"),
    "scaled_dot_product_attention": "attention",
    "batch_norm": "batch-norm",
    **dict.fromkeys(
        ("layer_norm", "group_norm", "instance_norm", "rms_norm", "local_response_norm"), "norm"
    ),
    "normalize": "norm",
    "relu": "relu",
    "relu6": "relu6",
    **dict.fromkeys(("leaky_relu", "prelu", "rrelu"), "leaky-relu"),
    **dict.fromkeys(("elu", "selu", "celu"), "elu"),
    **dict.fromkeys(("sigmoid", "logsigmoid"), "sigmoid"),
    "hardsigmoid": "hard-sigmoid",
    "tanh": "tanh",
    **dict.fromkeys(("silu", "mish"), "swish"),
    "hardswish": "hard-swish",
    "gelu": "gelu",
    **dict.fromkeys(("softmax", "log_softmax"), "softmax"),
    **dict.fromkeys(("add", "iadd", "radd", "sub", "isub", "rsub", "subtract"), "add"),
    **dict.fromkeys(
        ("mul", "imul", "rmul", "multiply", "div", "truediv", "rtruediv", "divide", "rdiv"), "mul"
    ),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack", "hstack", "vstack"), "concat"),
    **dict.fromkeys((f"{a}max_pool{k}d" for k in (1, 2, 3) for a in ("", "adaptive_")), "max-pool"),
    **dict.fromkeys((f"max_pool{k}d_with_indices" for k in (1, 2, 3)), "max-pool"),
    **dict.fromkeys(("amax", "max"), "max-pool"),
    **dict.fromkeys((f"avg_pool{k}d" for k in (1, 2, 3)), "avg-pool"),
    **dict.fromkeys((f"adaptive_avg_pool{k}d" for k in (1, 2, 3)), "avg-pool"),
    **dict.fromkeys(("mean", "sum"), "mean"),
    **dict.fromkeys(("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d"), "pad"),
    **dict.fromkeys(("interpolate", "upsample", "grid_sample", "pixel_shuffle"), "resample"),
    **dict.fromkeys(("pixel_unshuffle", "upsample_bilinear2d", "upsample_nearest2d"), "resample"),
    **dict.fromkeys(("zeros_like", "new_zeros"), "zero"),
}
FOLDED = _names(
    "reshape view flatten unflatten permute transpose t T mT H mH adjoint swapaxes swapdims "
    "movedim moveaxis squeeze unsqueeze contiguous clone detach to float double half bfloat16 "
    "type type_as expand expand_as repeat repeat_interleave chunk split split_with_sizes "
    "tensor_split unbind select narrow getitem slice index_select index gather roll flip "
    "view_as reshape_as alias dropout dropout1d dropout2d dropout3d alpha_dropout "
    "feature_dropout feature_alpha_dropout channel_shuffle native_channel_shuffle as_strided "
    "copy lift_fresh_copy data real cpu requires_grad_ requires_grad unsafe_split ravel "
    "unsafe_chunk tile to_copy"
)
READS = _names(
    "item tolist numpy bool float__ int index__ nonzero masked_select unique "
    "local_scalar_dense equal allclose is_nonzero unique_consecutive argwhere bincount"
)
UNSEEN = _names("shape dtype device ndim size dim numel is_cuda requires_grad grad_fn")


class Call(NamedTuple):
    """One call that makes a value, seen from the tensors that it reads."""

    name: str
    args: Any
    kwargs: Mapping[str, Any]
    known: Sequence[Tensor]  # that depend on an input
    axes: Sequence[int]  # where the channels of these are
    statics: Sequence[Tensor]  # that do not: weights
    out: Tensor


class Facts(NamedTuple):
    """A vertex as far as the call alone says: its word, and where the result has its channels."""

    word: str
    axis: int
    kernel: Sequence[int] = (0, 0)
    weight: Sequence[int] = (0, 0, 0, 0)
    bias: bool = False
    flops: int = 0


def facts(call: Call) -> Facts:
    """The vertex of a call."""
    word, name = WORDS.get(call.name, "other"), call.name
    if word == "linear" and name != "linear" and not call.statics:
        word = "matmul"
    if word == "matmul" and call.statics and name in ("matmul", "rmatmul", "mm"):
        word = "linear"
    return _OWN.get(word, _plain)(word, call)


def _conv(word: str, call: Call) -> Facts:
    x, kernels = call.known[0], call.statics[0]
    axis = x.ndim - kernels.ndim + 1
    places = (call.out if word == "conv" else x).shape[axis + 1 :]
    outputs, inputs = kernels.shape[:2]
    if word == "conv" and inputs == 1 and x.shape[axis] == outputs > 1:
        word = "depthwise"
    weight = _four(kernels.shape)
    flops = 2 * kernels.numel() * math.prod(places)
    return Facts(word, axis, weight[2:], weight, len(call.statics) > 1, flops)


def _linear(word: str, call: Call) -> Facts:
    matrix = call.statics[-1] if call.name == "addmm" else call.statics[0]
    rows, columns = matrix.shape[-2:]
    weight = (rows, columns, 1, 1) if call.name == "linear" else (columns, rows, 1, 1)
    flops = 2 * rows * columns * math.prod(call.known[0].shape[:-1])
    return Facts(word, call.out.ndim - 1, (0, 0), weight, len(call.statics) > 1, flops)


def _matmul(word: str, call: Call) -> Facts:
    flops = _product_flops(call.name, call.args, [*call.known, *call.statics], call.out)
    return Facts(word, call.out.ndim - 1, flops=flops)


def _attention(word: str, call: Call) -> Facts:
    q, k, v = call.known[0], call.known[1 % len(call.known)], call.known[-1]
    pairs = 2 * math.prod(q.shape[:-1]) * k.shape[-2]
    return Facts(word, call.out.ndim - 1, flops=pairs * (q.shape[-1] + v.shape[-1]))


def _recurrent(word: str, call: Call) -> Facts:
    matrices = [w for w in call.statics if w.ndim == 2 and isinstance(w, nn.Parameter)]
    weight = (*matrices[0].shape, 1, 1) if matrices else (0, 0, 0, 0)
    bias = any(w.ndim == 1 for w in call.statics)
    steps = math.prod(call.known[0].shape[:-1])
    flops = 2 * steps * sum(w.numel() for w in matrices)
    return Facts(word, call.out.ndim - 1, (0, 0), weight, bias, flops)


def _embedding(word: str, call: Call) -> Facts:
    many, width = call.statics[0].shape
    return Facts(word, call.out.ndim - 1, weight=(width, many, 1, 1))


def _pooled(word: str, call: Call) -> Facts:
    word, kernel = _pooling(word, call.name, call.args, call.kwargs, call.known[0], call.out)
    return Facts(word, min(call.axes[0], max(call.out.ndim - 1, 0)), kernel)


def _mean(word: str, call: Call) -> Facts:
    x, axis = call.known[0], call.axes[0]
    if call.out.ndim < x.ndim:
        axis = min(axis, max(call.out.ndim - 1, 0))
    return Facts(word, axis, size(x, call.axes[0])[1:])


def _norm(word: str, call: Call) -> Facts:
    last = call.name in ("layer_norm", "rms_norm")
    return Facts(word, call.known[0].ndim - 1 if last else call.axes[0])


def _plain(word: str, call: Call) -> Facts:
    """What has no weights: channels are where they are in an input of as many axes."""
    x, axis, out = call.known[0], call.axes[0], call.out
    if out.ndim != x.ndim:
        wide = (at for y, at in zip(call.known, call.axes, strict=True) if y.ndim == out.ndim)
        axis = next(wide, max(out.ndim - 1, 0))
    elif word in ("add", "mul"):
        axis = call.axes[max(range(len(call.known)), key=lambda i: call.known[i].numel())]
    return Facts(word, axis)


_OWN: Mapping[str, Callable[[str, Call], Facts]] = {
    **dict.fromkeys(("conv", "conv-transposed"), _conv),
    "linear": _linear,
    "matmul": _matmul,
    "attention": _attention,
    "recurrent": _recurrent,
    "embedding": _embedding,
    **dict.fromkeys(("max-pool", "avg-pool"), _pooled),
    "mean": _mean,
    "norm": _norm,
}


def size(x: Tensor, axis: int) -> tuple[int, int, int]:
    """Channels, height and width of a batch of one; what has more sides has its last as one."""
    if x.ndim < 2:
        return (x.numel(), 1, 1)
    sides = [side for i, side in enumerate(x.shape) if i != axis]
    if 1 in sides:
        sides.remove(1)  # the batch, wherever it stands
    return (x.shape[axis], sides[0] if sides else 1, math.prod(sides[1:]))


def _four(shape: Sequence[int]) -> tuple[int, int, int, int]:
    outputs, inputs, *sides = shape
    return (outputs, inputs, sides[0], math.prod(sides[1:]))


def moved(
    name: str, args: Any, kwargs: Mapping[str, Any], x: Tensor, out: Tensor, axis: int
) -> int:
    """Where the channels are after a change of shape."""
    if name in ("transpose", "swapaxes", "swapdims"):
        a, b = (d % x.ndim for d in (*args[1:3], *kwargs.values())[:2])
        return b if axis == a else a if axis == b else axis
    if name in ("t", "T", "mT", "H", "mH", "adjoint") and x.ndim > 1:
        swapped = {x.ndim - 1: x.ndim - 2, x.ndim - 2: x.ndim - 1}
        return swapped.get(axis, axis)
    if name == "permute":
        order = args[1] if isinstance(args[1], (tuple, list)) else args[1:]
        return [d % x.ndim for d in order].index(axis)
    last = max(out.ndim - 1, 0)
    if out.ndim <= 2:
        return last
    if x.ndim == out.ndim:
        return axis
    if axis == 1 and x.shape[:2] == out.shape[:2]:
        return 1
    if axis == x.ndim - 1 and x.shape[-1] == out.shape[-1]:
        return last
    return 1 if out.ndim >= 4 else last


def _product_flops(name: str, args: Any, terms: Sequence[Tensor], out: Tensor) -> int:
    if name == "einsum" and isinstance(args[0], str):
        sides: dict[str, int] = {}
        inputs = args[0].replace(" ", "").partition("->")[0].split(",")
        for letters, term in zip(inputs, terms, strict=False):
            sides.update(zip(letters, term.shape, strict=False))
        return 2 * math.prod(sides.values())
    first = args[1] if name in ("baddbmm", "addmm") else args[0]
    return 2 * out.numel() * int(first.shape[-1])


def _pooling(
    word: str, name: str, args: Any, kwargs: Mapping[str, Any], x: Tensor, out: Tensor
) -> tuple[str, tuple[int, int]]:
    """Word and kernel; a pooling down to one place is a mean."""
    axes = 2 if name.endswith(("2d", "2d_with_indices")) else 1
    if name.startswith("adaptive") or "pool" not in name:
        sides = x.shape[-axes:]
        whole = "pool" not in name or all(side == 1 for side in out.shape[-axes:])
        if whole:
            kernel = (sides[0], sides[1] if axes == 2 else 1)
            return ("mean" if word == "avg-pool" else word), kernel
        steps = [a // b for a, b in zip(sides, out.shape[-axes:], strict=True)]
        return word, (steps[0], steps[1] if axes == 2 else 1)
    given = kwargs.get("kernel_size", args[1] if len(args) > 1 else 1)
    window = list(given) if isinstance(given, (tuple, list)) else [given] * axes
    return word, (int(window[0]), int(window[-1]) if axes == 2 else 1)
