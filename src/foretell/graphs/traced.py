"""The computational graph of any `nn.Module`: one forward pass is watched, call by call."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as tree

from foretell.errors import DataError, ForetellError, SettingError
from foretell.graphs.computation import Canvas, Computations, Value


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORDS: dict[str, str] = {
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
_FOLDED = _names(
    "reshape view flatten unflatten permute transpose t T mT H mH adjoint swapaxes swapdims "
    "movedim moveaxis squeeze unsqueeze contiguous clone detach to float double half bfloat16 "
    "type type_as expand expand_as repeat repeat_interleave chunk split split_with_sizes "
    "tensor_split unbind select narrow getitem slice index_select index gather roll flip "
    "view_as reshape_as alias dropout dropout1d dropout2d dropout3d alpha_dropout "
    "feature_dropout feature_alpha_dropout channel_shuffle native_channel_shuffle as_strided "
    "copy lift_fresh_copy data real cpu requires_grad_ requires_grad unsafe_split ravel "
    "unsafe_chunk tile to_copy"
)
_READS = _names(
    "item tolist numpy bool float__ int index__ nonzero masked_select unique "
    "local_scalar_dense equal allclose is_nonzero unique_consecutive argwhere bincount"
)
_UNSEEN = _names("shape dtype device ndim size dim numel is_cuda requires_grad grad_fn")
_LIKE = frozenset(("relu", "sigmoid", "tanh", "swish", "hard-swish", "gelu", "relu6"))


def trace(module: nn.Module, example: Any, *, way: str = "watch") -> Computations:
    """The computational graph of a module: operations of one vocabulary, edges and sizes.

    An operation is a vertex, what it reads are its edges; a tensor that only changes its shape, or
    is cut, is the same value: reshapes, transposes, slices and identities are folded into the edge,
    and so are shortcuts and, in eval mode, dropout. Batch normalisation is a vertex. Weights are
    part of the operation that uses them; one that reads them alone is none.

    Args:
        module: in any mode; it is run in eval mode, and is afterwards as it was.
        example: a batch with the sizes of the data, or a tuple of such inputs; its first row is
            taken, values do not matter.
        way: "watch" follows the calls of one forward pass, on shapes alone where that is possible
            (milliseconds); "export" reads the program of `torch.export` (seconds).

    Returns: one graph; its vertices stand in the order in which they are computed.

    Raises:
        DataError: the forward fails on the example, reads values of tensors (`item`, a condition on
            one), or has an operation that cannot be followed; the operation is named.

    References: Mills et al., GENNAPE, AAAI 2023 (vocabulary and sizes); Han et al., SDM 2023.
    `Differs:` a shortcut is an edge, where they have a vertex "identity", because only the source
    of a network can tell one from the other, not what it computes; layers of transformers and
    recurrent networks have words of their own.

    >>> block = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
    >>> graph = trace(block, torch.zeros(1, 3, 8, 8))
    >>> graph.ops.tolist(), graph.edges.tolist()
    ([1, 3, 11, 13, 2], [[0, 1], [1, 2], [2, 3], [3, 4]])
    """
    if way not in ("watch", "export"):
        raise SettingError("way", expected="'watch' or 'export'", got=repr(way))
    inputs = example if isinstance(example, tuple) else (example,)
    inputs = tree.tree_map_only(Tensor, lambda x: x[:1], inputs)
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if way == "export":
                return _exported(module, inputs)
            return _watched(module, inputs)
    finally:
        for part, mode in modes:
            part.training = mode


def _watched(module: nn.Module, inputs: tuple[Any, ...]) -> Computations:
    try:
        return _forward(module, inputs, on_shapes=True)
    except _ReadsError as error:
        raise _refused(error.name, "it reads the values of tensors") from None
    except Exception:  # a forward that wants numbers: they may be had
        try:
            return _forward(module, inputs, on_shapes=False)
        except _ReadsError as error:
            raise _refused(error.name, "it reads the values of tensors") from None
        except ForetellError:
            raise
        except Exception as error:
            name = error.__dict__.get("_foretell_operation", "forward")
            why = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
            raise _refused(name, why) from error


def _refused(name: str, why: str) -> DataError:
    return DataError(
        f"this network cannot be traced: at operation {name!r}, {why}",
        hint="write its forward in operations of torch on whole tensors, and check the example",
    )


class _ReadsError(Exception):
    """A forward asks for values."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _forward(module: nn.Module, inputs: tuple[Any, ...], on_shapes: bool) -> Computations:
    book = _Book()
    devices = {p.device for p in [*module.parameters(), *module.buffers()]}
    given = tree.tree_map_only(
        Tensor,
        lambda x: x.to("meta") if on_shapes else x.to(next(iter(devices), x.device)).clone(),
        inputs,
    )
    for x in tree.tree_leaves(given):
        if isinstance(x, Tensor):
            book.enter(x)
    with torch.random.fork_rng(devices=[]), _Watch(book, on_shapes):
        outputs = module(*given)
    return book.done(outputs)


class _Watch(TorchFunctionMode):
    """Follows every call of torch; on shapes, it computes these alone."""

    def __init__(self, book: _Book, on_shapes: bool) -> None:
        self.book, self.on_shapes = book, on_shapes

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Any = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        raw = getattr(func, "__name__", str(func))
        if raw == "__get__":
            raw = getattr(getattr(func, "__self__", None), "__name__", raw)
            if raw in _UNSEEN:
                return func(*args, **kwargs)
        elif raw in ("size", "dim", "__len__", "numel", "is_floating_point"):
            return func(*args, **kwargs)
        name = raw.strip("_")
        leaves = [x for x in tree.tree_leaves((args, dict(kwargs))) if isinstance(x, Tensor)]
        known = [x for x in leaves if id(x) in self.book.values]
        if not known:
            out = func(*args, **kwargs)
            self.book.derive(leaves, out)
            return out
        if name in _READS or raw in ("__bool__", "__float__", "__int__", "__index__"):
            raise _ReadsError(raw)
        if raw == "multi_head_attention_forward":
            with self:
                return _attend(*args, **kwargs)
        try:
            out = self._run(name, func, args, kwargs, leaves)
        except _ReadsError:
            raise
        except Exception as error:
            error.__dict__.setdefault("_foretell_operation", raw)
            raise
        self.book.note(name, args, kwargs, out, in_place=raw.endswith("_") and raw[:2] != "__")
        return out

    def _run(
        self,
        name: str,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        leaves: Sequence[Tensor],
    ) -> Any:
        if not self.on_shapes:
            return func(*args, **kwargs)
        size = _quick(name, args, kwargs)
        if size is not None:
            return leaves[0].new_empty(size)
        if any(x.device.type != "meta" for x in leaves):
            to_meta = {id(x): x.detach().to("meta") for x in leaves if x.device.type != "meta"}
            args, kwargs = tree.tree_map_only(
                Tensor, lambda x: to_meta.get(id(x), x), (args, dict(kwargs))
            )
        return func(*args, **kwargs)


def _quick(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Sequence[int] | None:
    """Sizes of the most common operations, which torch takes long to say."""
    word = _WORDS.get(name, "")
    x = args[0] if args else None
    if not isinstance(x, Tensor) or x.device.type != "meta":
        return None
    if word == "batch-norm":
        fits = all(v is None or v.shape == x.shape[1:2] for v in args[1:5])
        return x.shape if fits else None
    if name.startswith("adaptive_avg_pool") and len(args) == 2 and not kwargs:
        axes = int(name[-2])
        sides = args[1] if isinstance(args[1], (tuple, list)) else [args[1]] * axes
        whole = x.shape[x.ndim - axes :]
        return (*x.shape[: x.ndim - axes], *map(_or, sides, whole))
    if name == "mean" and not set(kwargs) - {"dim", "keepdim"}:
        return _without(x, *args[1:], **kwargs)
    if word in _LIKE and not kwargs.get("inplace"):
        return x.shape
    if name == "linear" and len(args) > 1:
        fits = x.shape[-1:] == args[1].shape[1:]
        return (*x.shape[:-1], args[1].shape[0]) if fits else None
    if word == "add" and len(args) == 2 and isinstance(args[1], Tensor):
        return x.shape if x.shape == args[1].shape and name == "add" else None
    if name == "conv2d" and len(args) == 7 and not isinstance(args[4], str):
        weight, stride, padding, dilation = args[1], args[3], args[4], args[5]
        if x.shape[-3] != weight.shape[1] * args[6]:
            return None
        spatial = (
            (side + 2 * _pair(padding)[i] - _pair(dilation)[i] * (weight.shape[2 + i] - 1) - 1)
            // _pair(stride)[i]
            + 1
            for i, side in enumerate(x.shape[-2:])
        )
        return (*x.shape[:-3], weight.shape[0], *spatial)
    return None


def _or(side: int | None, instead: int) -> int:
    return instead if side is None else side


def _without(x: Tensor, dim: Any = None, keepdim: bool = False) -> Sequence[int]:
    """Sizes without some axes, all of them by default."""
    axes = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    gone = {axis % x.ndim for axis in axes}
    sizes = [1 if i in gone else side for i, side in enumerate(x.shape)]
    return sizes if keepdim else [side for i, side in enumerate(sizes) if i not in gone]


def _pair(value: Any) -> tuple[int, int]:
    return tuple(value) * (2 // len(value)) if isinstance(value, (tuple, list)) else (value, value)


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    width: int,
    heads: int,
    in_weight: Tensor | None,
    in_bias: Tensor | None,
    *args: Any,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Multi-head attention in its parts: linear maps, attention, a linear map.

    Inputs are (t, b, c); what `nn.MultiheadAttention` hands on, told once more in calls that are
    watched.
    """
    names = ("bias_k", "bias_v", "add_zero_attn", "dropout_p", "out_weight", "out_bias")
    given = dict(zip(names, args, strict=False))
    out_weight: Any = given.get("out_weight", kwargs.get("out_proj_weight"))
    out_bias: Any = given.get("out_bias", kwargs.get("out_proj_bias"))
    linear = nn.functional.linear
    if in_weight is not None and query is key and key is value:
        q, k, v = linear(query, in_weight, in_bias).chunk(3, dim=-1)
    else:
        if in_weight is not None:
            weights: Any = in_weight.chunk(3)
        else:
            weights = [kwargs[f"{one}_proj_weight"] for one in "qkv"]
        biases: Any = in_bias.chunk(3) if in_bias is not None else (None, None, None)
        q, k, v = (
            linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True)
        )

    def split(x: Tensor) -> Tensor:
        apart: Tensor = x.unflatten(-1, (heads, -1))
        return apart.movedim(0, -2)

    mixed = nn.functional.scaled_dot_product_attention(split(q), split(k), split(v))
    return linear(mixed.movedim(-2, 0).flatten(-2), out_weight, out_bias), None


def _exported(module: nn.Module, inputs: tuple[Any, ...]) -> Computations:
    from torch.export.graph_signature import InputKind

    try:
        program = torch.export.export(module, inputs, strict=False)
    except Exception as error:  # whatever the exporter, or the forward in it, raises
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        raise _refused("torch.export", why) from error
    book, values = _Book(), dict[Any, Any]()
    kinds = {spec.arg.name: spec for spec in program.graph_signature.input_specs}
    shared = dict[Any, nn.Parameter]()

    def fresh(value: Any) -> Any:
        return tree.tree_map_only(
            Tensor, lambda x: torch.empty(x.shape, dtype=x.dtype, device="meta"), value
        )

    for node in program.graph.nodes:
        if node.op == "placeholder":
            value = fresh(node.meta["val"])
            spec = kinds[node.name]
            if spec.kind is InputKind.USER_INPUT:
                if isinstance(value, Tensor):
                    book.enter(value)
            elif spec.kind is InputKind.PARAMETER:
                value = shared.setdefault(spec.target, nn.Parameter(value, requires_grad=False))
            values[node] = value
        elif node.op == "get_attr":
            values[node] = getattr(program.graph_module, str(node.target))
        elif node.op == "call_function":
            args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
            packet = getattr(node.target, "overloadpacket", None)
            raw = packet.__name__ if packet is not None else node.target.__name__
            if packet is None and raw != "getitem":
                raise _refused(raw, "it is no call of a function of torch")
            if raw == "getitem" and not isinstance(args[0], Tensor):
                values[node] = args[0][args[1]]
                continue
            values[node] = fresh(node.meta.get("val"))
            book.note(raw.strip("_"), args, kwargs, values[node], in_place=raw.endswith("_"))
        else:
            outputs = torch.fx.node.map_arg(node.args, values.__getitem__)
    return book.done(outputs)


class _Book:
    """Which value each tensor is, and the graph as far as it is drawn."""

    def __init__(self) -> None:
        self.canvas: Canvas | None = None
        self.values: dict[int, tuple[int, int]] = {}  # id of a tensor -> vertex, axis of channels
        self._alive: list[Any] = []  # an id is a tensor's only while it lives
        self._counted: set[int] = set()
        self._made: dict[int, list[nn.Parameter]] = {}  # id of a tensor -> what it is made of

    def derive(self, leaves: Sequence[Tensor], out: Any) -> None:
        """A call on weights alone: what comes of it stands for them."""
        weights = [w for x in leaves for w in self._weights(x)]
        for x in _tensors(out) if weights else ():
            if not isinstance(x, nn.Parameter):
                self._made[id(x)] = weights
                self._alive.append(x)

    def _weights(self, x: Tensor) -> list[nn.Parameter]:
        return [x] if isinstance(x, nn.Parameter) else self._made.get(id(x), [])

    def enter(self, x: Tensor) -> None:
        """An input."""
        axis = 1 if x.ndim >= 4 else max(x.ndim - 1, 0)
        size = _size(x, axis)
        if self.canvas is None:
            self.canvas = Canvas(*size)
            vertex = self.canvas.input.vertex
        else:
            vertex = self.canvas.enter(*size).vertex
        self._keep(x, vertex, axis)

    def _keep(self, x: Tensor, vertex: int, axis: int) -> None:
        self.values[id(x)] = vertex, axis
        self._alive.append(x)

    def note(
        self, name: str, args: Any, kwargs: Mapping[str, Any], out: Any, *, in_place: bool
    ) -> None:
        """One call, and what came of it."""
        leaves = [x for x in tree.tree_leaves((args, dict(kwargs))) if isinstance(x, Tensor)]
        known = [x for x in leaves if id(x) in self.values]
        outs = [x for x in tree.tree_leaves(out) if isinstance(x, Tensor)]
        if not known or self.canvas is None:
            return self.derive(leaves, out)
        if not outs:
            return None
        source = known[0]
        vertex, axis = self.values[id(source)]
        if name in _FOLDED:
            for x in outs:
                self._keep(x, vertex, _moved(name, args, kwargs, source, x, axis))
            return None
        word = _WORDS.get(name, "other")
        statics = [x for x in leaves if id(x) not in self.values]
        vertex, axis = self._draw(word, name, args, kwargs, known, statics, outs[0], axis)
        for x in outs:
            self._keep(x, vertex, axis)
        if in_place or kwargs.get("inplace") is True:
            self._keep(source, vertex, axis)
        return None

    def _draw(
        self,
        word: str,
        name: str,
        args: Any,
        kwargs: Mapping[str, Any],
        known: Sequence[Tensor],
        statics: Sequence[Tensor],
        out: Tensor,
        axis: int,
    ) -> tuple[int, int]:
        assert self.canvas is not None
        x = known[0]
        weight, kernel, bias, flops = (0, 0, 0, 0), (0, 0), False, 0
        if word == "linear" and name != "linear" and not statics:
            word = "matmul"
        if word == "matmul" and statics and name in ("matmul", "rmatmul", "mm"):
            word = "linear"
        if word in ("conv", "conv-transposed"):
            axis = x.ndim - statics[0].ndim + 1
            weight = _four(statics[0].shape)
            kernel = weight[2:]
            bias = len(statics) > 1
            places = (out if word == "conv" else x).shape[axis + 1 :]
            flops = 2 * statics[0].numel() * math.prod(places)
            outputs, inputs = statics[0].shape[:2]
            if word == "conv" and inputs == 1 and x.shape[axis] == outputs > 1:
                word = "depthwise"
        elif word == "linear":
            axis = out.ndim - 1
            matrix = statics[-1] if name == "addmm" else statics[0]
            rows, columns = matrix.shape[-2:]
            weight = (rows, columns, 1, 1) if name == "linear" else (columns, rows, 1, 1)
            bias = len(statics) > 1
            flops = 2 * rows * columns * math.prod(x.shape[:-1])
        elif word == "matmul":
            axis = out.ndim - 1
            flops = _product_flops(name, args, [*known, *statics], out)
        elif word == "attention":
            axis = out.ndim - 1
            q, k, v = known[0], known[1 % len(known)], known[-1]
            pairs = 2 * math.prod(q.shape[:-1]) * k.shape[-2]
            flops = pairs * (q.shape[-1] + v.shape[-1])
        elif word == "recurrent":
            axis = out.ndim - 1
            matrices = [w for w in statics if w.ndim == 2 and isinstance(w, nn.Parameter)]
            if matrices:
                weight = (*matrices[0].shape, 1, 1)
            bias = any(w.ndim == 1 for w in statics)
            steps = math.prod(x.shape[:-1])
            flops = 2 * steps * sum(w.numel() for w in matrices)
        elif word == "embedding":
            axis = out.ndim - 1
            weight = (statics[0].shape[1], statics[0].shape[0], 1, 1)
        elif word in ("max-pool", "avg-pool"):
            word, kernel = _pooling(word, name, args, kwargs, x, out)
            axis = min(axis, max(out.ndim - 1, 0))
        elif word == "mean":
            if out.ndim < x.ndim:
                axis = min(axis, max(out.ndim - 1, 0))
            into = _size(x, self.values[id(x)][1])
            kernel = into[1:]
        elif word == "norm":
            axis = x.ndim - 1 if name in ("layer_norm", "rms_norm") else axis
        elif out.ndim != x.ndim:
            wide = next((y for y in known if y.ndim == out.ndim), None)
            axis = self.values[id(wide)][1] if wide is not None else max(out.ndim - 1, 0)
        elif word in ("add", "mul") and len(known) > 1:
            axis = self.values[id(max(known, key=lambda y: y.numel()))][1]
        params = 0
        for w in (w for x in statics for w in self._weights(x)):
            if id(w) not in self._counted:
                self._counted.add(id(w))
                self._alive.append(w)
                params += w.numel()
        into = _size(x, axis if x.ndim == out.ndim else self.values[id(x)][1])
        if word == "recurrent" or name == "stack":
            into = _size(x, x.ndim - 1)
        sources = [Value(self.values[id(y)][0], 0, 0, 0) for y in known]
        value = self.canvas.vertex(
            word,
            sources,
            into,
            _size(out, axis),
            (int(kernel[0]), int(kernel[1])),
            (int(weight[0]), int(weight[1]), int(weight[2]), int(weight[3])),
            bias,
            params,
            flops,
        )
        return value.vertex, axis

    def done(self, outputs: Any) -> Computations:
        """The graph, its outputs those tensors of a result that depend on an input."""
        found = [x for x in _tensors(outputs) if id(x) in self.values]
        if self.canvas is None or not found:
            raise _refused("forward", "it gives no tensor that depends on its input")
        ends = [Value(self.values[id(x)][0], *_size(x, self.values[id(x)][1])) for x in found]
        return self.canvas.done(*ends)


def _tensors(outputs: Any) -> Iterator[Tensor]:
    for x in tree.tree_leaves(outputs):
        if isinstance(x, Tensor):
            yield x


def _size(x: Tensor, axis: int) -> tuple[int, int, int]:
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


def _moved(
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
