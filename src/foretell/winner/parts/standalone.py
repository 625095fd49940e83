"""A trained network as readable source that needs torch and nothing else.

The network is traced with `torch.fx` while it is in eval mode; modules of `torch.nn` stay whole,
everything else dissolves into the statements of one `forward`. The names of its weights stay as
they were trained.
"""

from __future__ import annotations

import builtins
import copy
import inspect
import keyword
import math
import operator
import re
from collections.abc import Callable, Iterator
from string import ascii_lowercase
from typing import Any

import torch
from torch import fx, nn

INDENT = "    "
_INFIX: dict[Callable[..., Any], str] = {
    operator.add: "+", operator.sub: "-", operator.mul: "*", operator.truediv: "/",
    operator.floordiv: "//", operator.mod: "%", operator.pow: "**", operator.matmul: "@",
    operator.iadd: "+", operator.isub: "-", operator.imul: "*", operator.itruediv: "/",
    operator.and_: "&", operator.or_: "|", operator.xor: "^", operator.eq: "==",
    operator.ne: "!=", operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">=",
}  # fmt: skip
_CONTAINERS = (
    nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict
)  # fmt: skip


class NotTraceable(Exception):  # noqa: N818  # not an error: there is a fallback
    """The network cannot be written down as statements; the text says why."""


def source_of(module: nn.Module) -> str:
    """The class `Network`, as Python source, that does what `module` does in eval mode.

    Its `state_dict` has the keys of `module`. Leaf modules of torch.nn are made by their own
    constructor arguments, so the class may be trained further.

    Raises: NotTraceable when its forward is more than a graph of torch calls.
    """
    try:
        graph = fx.Tracer().trace(copy.deepcopy(module))  # tracing may leave constants behind
    except Exception as error:  # whatever a user's forward raises on symbols
        raise NotTraceable(" ".join(f"{type(error).__name__}: {error}".split())[:300]) from error
    whole = _is_chain(module)
    base = "Sequential" if whole else "Module"
    lines = [f"class Network(nn.{base}):", f'{INDENT}"""The network, in eval mode after `load`."""']
    lines += ["", f"{INDENT}def __init__(self) -> None:"]
    if whole:
        made = _block(
            "super().__init__(",
            [_expression(child) for child in module._modules.values() if child is not None],
            ")",
        )
        return "\n".join([*lines, *(INDENT * 2 + line for line in made.split("\n"))]) + "\n"
    lines += [f"{INDENT * 2}super().__init__()"]
    for name, text in _members(module):
        lines += _statement(name, text)
    lines += [f"{INDENT * 2}{text}" for text in _shared(module)]
    return "\n".join([*lines, "", *_forward(graph, module)]) + "\n"


# -- the constructor ------------------------------------------------------------------------------


def _statement(name: str, text: str) -> list[str]:
    plain = name.isidentifier() and not keyword.iskeyword(name)
    if text.startswith("torch."):  # a tensor that the network uses directly
        made = f'self.register_buffer("{name}", {text})'
    else:
        made = f"self.{name} = {text}" if plain else f'self.add_module("{name}", {text})'
    return [INDENT * 2 + line for line in made.split("\n")]


def _members(module: nn.Module) -> Iterator[tuple[str, str]]:
    """Name and expression of everything a module holds, in the order of its state dict."""
    for name, parameter in module._parameters.items():
        if parameter is not None:
            yield name, f"nn.Parameter({_empty(parameter)})"
    for name, buffer in module._buffers.items():
        if buffer is not None:
            if name in module._non_persistent_buffers_set:
                raise NotTraceable(f"buffer {name!r} is not among the saved weights")
            yield name, _empty(buffer)
    for name, child in module._modules.items():
        if child is not None:
            yield name, _expression(child)


def _empty(tensor: torch.Tensor) -> str:
    dtype = "" if tensor.dtype == torch.float32 else f", dtype={tensor.dtype}"
    return f"torch.empty({tuple(tensor.shape)}{dtype})"


def _expression(module: nn.Module) -> str:
    kind = type(module)
    if _numbered(module):
        inner = [_expression(child) for child in module._modules.values() if child is not None]
        if isinstance(module, nn.Sequential):
            return _block("nn.Sequential(", inner, ")")
        return _block("nn.ModuleList([", inner, "])")
    if _is_leaf(module):
        return f"nn.{kind.__name__}({', '.join(_arguments(module))})"
    members = list(_members(module))
    if all(name.isidentifier() and not keyword.iskeyword(name) for name, _ in members):
        return _block("Part(", [f"{name}={text}" for name, text in members], ")")
    return _block("Part(**{", [f'"{name}": {text}' for name, text in members], "})")


def _numbered(module: nn.Module) -> bool:
    """Whether it is written as a list of modules."""
    return (
        isinstance(module, (nn.Sequential, nn.ModuleList))
        and list(module._modules) == [str(i) for i in range(len(module))]
        and not module._parameters
        and not module._buffers
    )


def _is_chain(module: nn.Module) -> bool:
    """Whether it is nothing but leaf modules called one after the other."""
    return (
        isinstance(module, nn.Sequential)
        and _numbered(module)
        and type(module).forward is nn.Sequential.forward
        and all(_is_leaf(child) or _is_chain(child) for child in module.children())
        and not any(_shared(module))
    )


def _shared(module: nn.Module) -> Iterator[str]:
    """Statements that make parts which have several names, and weights, the same."""
    first: dict[nn.Module, str] = {}
    for name, part in module.named_modules(remove_duplicate=False):
        known, above = first.setdefault(part, name), name.rpartition(".")[0]
        if known != name and part.state_dict() and first[module.get_submodule(above)] == above:
            yield f"{_path(name, module)} = {_path(known, module)}"


def _is_leaf(module: nn.Module) -> bool:
    """Whether it stays whole; the tracer has the same rule."""
    return type(module).__module__.startswith("torch.nn") and not isinstance(module, _CONTAINERS)


def _block(head: str, items: list[str], tail: str) -> str:
    flat = head + ", ".join(items) + tail
    if "\n" not in flat and len(flat) <= 72:
        return flat
    body = ",\n".join(items).replace("\n", "\n" + INDENT)
    return f"{head}\n{INDENT}{body},\n{tail}"


def _arguments(module: nn.Module) -> list[str]:
    """The constructor arguments that made a module of torch.nn, without those left at default."""
    kind = type(module)
    if getattr(nn, kind.__name__, None) is not kind:
        raise NotTraceable(f"{kind.__module__}.{kind.__name__} is not part of torch.nn")
    out, positional = [], True
    recurrent = isinstance(module, nn.RNNBase)  # whose own constructors take anything
    taken = inspect.signature((nn.RNNBase if recurrent else kind).__init__).parameters
    for name, parameter in taken.items():
        known = name in vars(module) or name in module._parameters or name in module._modules
        if name in ("self", "device", "dtype", "mode" * recurrent) or parameter.kind in (
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.VAR_KEYWORD,
        ):
            continue
        if not known and not isinstance(getattr(module, name, None), (bool, int, float, str)):
            if parameter.default is inspect.Parameter.empty:
                raise NotTraceable(f"{kind.__name__} does not keep its argument {name!r}")
            positional = False
            continue
        value = getattr(module, name)
        if isinstance(value, torch.Tensor) or name == "bias":
            value = value is not None and value is not False
        default = parameter.default
        if default is not inspect.Parameter.empty and _same(value, default):
            positional = False
            continue
        required = default is inspect.Parameter.empty
        value = value if required else _scalar(value)
        value = _scalar(value) if name in ("kernel_size", "output_size") else value
        positional = positional and (required or name == "kernel_size")
        out.append(_value(value) if positional else f"{name}={_value(value)}")
    return [*out, *["nonlinearity='relu'"] * (getattr(module, "mode", "") == "RNN_RELU")]


def _scalar(value: Any) -> Any:
    """(3, 3) as 3, which torch expands again."""
    pair = isinstance(value, tuple) and len(value) > 1 and len(set(value)) == 1
    return value[0] if pair and isinstance(value[0], int) else value


def _same(value: Any, default: Any) -> bool:
    same: bool = value == default or _scalar(value) == default
    return same and isinstance(value, bool) == isinstance(default, bool)


def _value(value: Any) -> str:
    """The Python source of a constant."""
    if isinstance(value, bool | int | str | None | bytes):
        return repr(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f'float("{value}")'
    if isinstance(value, torch.dtype):
        return str(value)
    if isinstance(value, torch.device):
        return f'torch.device("{value}")'
    if isinstance(value, (tuple, list)):
        inner = ", ".join(map(_value, value))
        if isinstance(value, list):
            return f"[{inner}]"
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    raise NotTraceable(f"a constant of type {type(value).__name__}")


# -- forward --------------------------------------------------------------------------------------


def _forward(graph: fx.Graph, module: nn.Module) -> list[str]:
    """Statements in the graph's order; a variable is used again once its value is not needed."""
    last_use: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        for used in node.all_input_nodes:
            last_use[used] = node
    names: dict[fx.Node, str] = {}
    variables, free, fresh = {"x"}, list[str](), _letters()
    head, body = "", []
    for node in graph.nodes:
        if node.op == "placeholder":
            if head:
                if node.args:  # an optional argument that nobody gives
                    names[node] = _value(node.args[0])
                    continue
                raise NotTraceable("forward takes more than one tensor")
            names[node] = "x"
            head = f"{INDENT}def forward(self, x: torch.Tensor) -> torch.Tensor:"
            continue
        if node.op == "output":
            if not isinstance(node.args[0], fx.Node):
                raise NotTraceable("forward returns more than one tensor")
            body.append(f"{INDENT * 2}return {names[node.args[0]]}")
            continue
        text = _call(node, names, module)
        if node.op == "get_attr":
            names[node] = text
            continue
        for used in node.all_input_nodes:
            if last_use[used] is node and names[used] in variables:
                free.append(names[used])
        inputs = [names[used] for used in node.all_input_nodes]
        reuse = [name for name in free if name in inputs] or free
        names[node] = name = min(reuse, key=lambda n: (n != "x", n)) if reuse else next(fresh)
        variables.add(name)
        if name in free:
            free.remove(name)
        body.append(f"{INDENT * 2}{name} = {text}")
        if node not in last_use:  # computed for nothing
            free.append(name)
    if head == "":
        raise NotTraceable("forward takes no tensor")
    return [head, *_whole_sequences(body, module)]


def _whole_sequences(body: list[str], module: nn.Module) -> list[str]:
    """`a = self.s[0](x)`, `a = self.s[1](a)`, ... over all of an `nn.Sequential` as one call."""
    i = 0
    while i < len(body):
        match = _FIRST_CALL.fullmatch(body[i])
        length = _length(match["path"], module) if match else 0
        if match and length:
            name, path = match["name"], match["path"]
            rest = [f"{INDENT * 2}{name} = {path}[{j}]({name})" for j in range(1, length)]
            if body[i + 1 : i + length] == rest:
                body = [
                    *body[:i],
                    f"{INDENT * 2}{name} = {path}({match['arg']})",
                    *body[i + length :],
                ]
                i = -1  # what encloses it may be whole now
        i += 1
    return body


_FIRST_CALL = re.compile(r" +(?P<name>\w+) = (?P<path>self\.[\w.\[\]]*)\[0\]\((?P<arg>\w+)\)")


def _length(path: str, module: nn.Module) -> int:
    """How many modules the Sequential at `path` has; 0 if there is none."""
    here: Any = module
    for name in re.findall(r"\w+", path)[1:]:
        here = getattr(here, name)
    return len(here) if isinstance(here, nn.Sequential) else 0


def _letters() -> Iterator[str]:
    for round_ in range(10_000):
        for letter in ascii_lowercase:
            if letter != "x":
                yield letter + (str(round_) if round_ else "")


def _call(node: fx.Node, names: dict[fx.Node, str], module: nn.Module) -> str:
    target: Any = node.target
    if node.op in ("call_module", "get_attr"):
        path = _path(target, module)
        return path if node.op == "get_attr" else f"{path}({_inputs(node, names)})"
    if node.op == "call_method":
        first, *_ = node.args
        own = _source(first, names)
        return f"{own}.{target}({_inputs(node, names, skip=1)})"
    if not node.kwargs:
        words = [_source(arg, names) for arg in node.args]
        if target in _INFIX:
            left = f"({words[0]})" if words[0].startswith("-") else words[0]
            return f"{left} {_INFIX[target]} {words[1]}"
        if target is operator.getitem:
            return f"{words[0]}[{_index(node.args[1], names)}]"
        if target is operator.neg:
            return f"-{words[0]}"
        if target is builtins.getattr and len(node.args) == 2:
            return f"{words[0]}.{node.args[1]}"
    return f"{_function(target)}({_inputs(node, names)})"


def _index(index: Any, names: dict[fx.Node, str]) -> str:
    """What stands between the brackets."""
    if isinstance(index, tuple) and index:
        return ", ".join(_index(item, names) for item in index) + "," * (len(index) == 1)
    if isinstance(index, slice):
        parts = (index.start, index.stop, index.step)
        start, stop, step = ("" if part is None else _source(part, names) for part in parts)
        return f"{start}:{stop}" + (f":{step}" if step else "")
    return _source(index, names)


def _inputs(node: fx.Node, names: dict[fx.Node, str], skip: int = 0) -> str:
    words = [_source(arg, names) for arg in node.args[skip:]]
    words += [f"{key}={_source(value, names)}" for key, value in node.kwargs.items()]
    return ", ".join(words)


def _source(value: Any, names: dict[fx.Node, str]) -> str:
    if isinstance(value, fx.Node):
        return names[value]
    if isinstance(value, (tuple, list)):
        inner = ", ".join(_source(item, names) for item in value)
        if isinstance(value, list):
            return f"[{inner}]"
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, slice):
        parts = (value.start, value.stop, value.step)
        return f"slice({', '.join(_source(part, names) for part in parts)})"
    if value is Ellipsis:
        return "..."
    return _value(value)


def _path(target: str, module: nn.Module) -> str:
    """`stages.0.conv` as `self.stages[0].conv`."""
    text = "self"
    here: Any = module
    for name in target.split("."):
        if here is not module and _numbered(here):
            text += f"[{name}]"
        elif name.isidentifier() and not keyword.iskeyword(name):
            text += f".{name}"
        else:
            text = f'getattr({text}, "{name}")'
        here = getattr(here, name, None)
    if not isinstance(here, (nn.Module, torch.Tensor)):
        raise NotTraceable(f"a constant tensor made in forward, {target}")
    return text


def _function(target: Any) -> str:
    """How a function is called in a file that imports torch, math, operator, nn and F."""
    name = getattr(target, "__name__", "")
    homes = (("F", nn.functional), ("torch", torch), ("math", math), ("operator", operator))
    homes += tuple((f"torch.{key}", getattr(torch, key)) for key in ("special", "linalg", "fft"))
    for home, space in homes:
        if getattr(space, name, None) is target:
            return f"{home}.{name}"
        for alias, value in vars(space).items():  # F.max_pool2d calls itself "fn"
            if value is target:
                return f"{home}.{alias}"
    if getattr(builtins, name, None) is target:
        return name
    if name and getattr(torch.Tensor, name, None) is target:
        return f"torch.Tensor.{name}"
    raise NotTraceable(f"a call of {name or target!r}, which is not a function of torch")
