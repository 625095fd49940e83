"""The computational graph of any `nn.Module`: one forward pass is watched, call by call."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as tree

from foretell.errors import ForetellError, SettingError
from foretell.graphs.book import Book, refused, tensors
from foretell.graphs.calls import READS, UNSEEN
from foretell.graphs.computation import Computations
from foretell.graphs.quick import quick


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
            warnings.simplefilter("ignore")  # the network warns its user when it is run
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
        raise refused(error.name, "it reads the values of tensors") from None
    except Exception:  # a forward that wants numbers: they may be had
        try:
            return _forward(module, inputs, on_shapes=False)
        except _ReadsError as error:
            raise refused(error.name, "it reads the values of tensors") from None
        except ForetellError:
            raise
        except Exception as error:
            name = error.__dict__.get("_foretell_operation", "forward")
            why = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
            raise refused(name, why) from error


class _ReadsError(Exception):
    """A forward asks for values."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _forward(module: nn.Module, inputs: tuple[Any, ...], on_shapes: bool) -> Computations:
    book = Book()
    devices = {p.device for p in [*module.parameters(), *module.buffers()]}
    given = tree.tree_map_only(
        Tensor,
        lambda x: x.to("meta") if on_shapes else x.to(next(iter(devices), x.device)).clone(),
        inputs,
    )
    for x in tensors(given):
        book.enter(x)
    with torch.random.fork_rng(devices=[]), _Watch(book, on_shapes):
        outputs = module(*given)
    return book.done(outputs)


class _Watch(TorchFunctionMode):
    """Follows every call of torch; on shapes, it computes these alone."""

    def __init__(self, book: Book, on_shapes: bool) -> None:
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
            if raw in UNSEEN:
                return func(*args, **kwargs)
        elif raw in ("size", "dim", "__len__", "numel", "is_floating_point"):
            return func(*args, **kwargs)
        name = raw.strip("_")
        leaves = list(tensors((args, dict(kwargs))))
        known = [x for x in leaves if id(x) in self.book.values]
        if not known:
            out = func(*args, **kwargs)
            self.book.derive(leaves, out)
            return out
        if name in READS or raw in ("__bool__", "__float__", "__int__", "__index__"):
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
        size = quick(name, args, kwargs)
        if size is not None:
            return leaves[0].new_empty(size)
        if any(x.device.type != "meta" for x in leaves):
            to_meta = {id(x): x.detach().to("meta") for x in leaves if x.device.type != "meta"}
            args, kwargs = tree.tree_map_only(
                Tensor, lambda x: to_meta.get(id(x), x), (args, dict(kwargs))
            )
        return func(*args, **kwargs)


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
        raise refused("torch.export", why) from error
    book, values = Book(), dict[Any, Any]()
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
                raise refused(raw, "it is no call of a function of torch")
            if raw == "getitem" and not isinstance(args[0], Tensor):
                values[node] = args[0][args[1]]
                continue
            values[node] = fresh(node.meta.get("val"))
            book.note(raw.strip("_"), args, kwargs, values[node], in_place=raw.endswith("_"))
        else:
            outputs = torch.fx.node.map_arg(node.args, values.__getitem__)
    return book.done(outputs)
