"""What proxies see of one network: the shared forward pass, and what follows from it, each once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from foretell._rng import derive
from foretell.errors import DataError, SpaceError
from foretell.evidence.zero_cost.parts.watch import Layer, Watch

Loss = Callable[[Tensor, Tensor], Tensor]

# what the shared pass keeps for those who need it
CODES = "codes"  # how often examples agree in the signs of what activations get
PATTERNS = "patterns"  # the signs of each unit over the first examples
MAPS = "maps"  # the output of each module for the first example
BLOCKS = "blocks"  # what goes from one block of the network to the next
SIDES = "sides"  # where ReLUs let through
LAYERS = "layers"  # outputs of convolutions and linear maps
LOSS = "loss"  # the loss can be differentiated by the weights,
INPUTS = "inputs"  # and the outputs by the inputs
_GRADIENTS = {BLOCKS, LAYERS, LOSS, INPUTS}
_STEP = 1e-3  # of the weights, for differences
_SAMPLES = 16  # examples whose signs make a pattern; those of which a gradient each is taken


@dataclass
class Seen:
    """What the shared pass has kept."""

    outputs: Tensor
    inputs: Tensor
    agreement: Tensor | None = None  # (n, n): units in which two examples have the same sign
    units: int = 0
    patterns: list[Tensor] = field(default_factory=list)  # signs over the examples, as integers
    maps: list[Tensor] = field(default_factory=list)  # (channels, pixels) each
    blocks: list[Tensor] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    sides: list[Tensor] = field(default_factory=list)  # where each ReLU lets through


class Look:
    """A network, a batch, and what proxies want to know of them.

    Works on a copy in training mode; the network that is given, its gradients, statistics of
    normalisation, mode and all global generators stay as they are. Views are made when they are
    first asked for, and kept.

    Args:
        module: any network; (n, ...) to (n, outputs).
        inputs: of a batch, (n, ...), on the device of the module.
        targets: classes (n,), or numbers (n, outputs).
        loss: of outputs and targets; None for cross entropy of classes, squared error of numbers.
        needs: what the shared pass has to keep, of the names above.
        seed: of what is drawn.
    """

    def __init__(
        self,
        module: nn.Module,
        inputs: Tensor,
        targets: Tensor,
        loss: Loss | None = None,
        needs: frozenset[str] = frozenset(),
        seed: int = 0,
    ) -> None:
        self.inputs, self.targets, self.needs, self.seed = inputs, targets, needs, seed
        self.loss = loss or usual_loss(targets)
        self._dropout = derive(seed, "dropout")
        self.net = copied(module)
        if inputs.ndim == 4:  # as in training; on CPUs some 1.3 times faster
            self.inputs = inputs.contiguous(memory_format=torch.channels_last)
            self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's types lack it

    def generator(self, *keys: str) -> torch.Generator:
        """A generator of the seed, on the CPU."""
        return torch.Generator().manual_seed(derive(self.seed, *keys))

    @cached_property
    def weights(self) -> list[nn.Parameter]:
        """Trainable weights of layers: those of two dimensions and more."""
        return [p for p in self.net.parameters() if p.requires_grad and p.ndim >= 2]

    @property
    def layers(self) -> list[nn.Parameter]:
        """The weights, if there are any.

        Raises: SpaceError.
        """
        if not self.weights:
            raise SpaceError("the network has no layer with weights that can be trained")
        return self.weights

    # -- the shared pass ------------------------------------------------------------------------

    @cached_property
    def seen(self) -> Seen:
        """One forward pass of the batch in training mode."""
        x = self.inputs.detach()
        if INPUTS in self.needs and x.is_floating_point():
            x = x.clone().requires_grad_()
        found = Seen(x, x)
        watch = Watch(
            on_layer=found.layers.append if LAYERS in self.needs else None,
            on_activation=(lambda z: self._keep_signs(found, z))
            if self.needs & {CODES, PATTERNS}
            else None,
            rectify=lambda z: _rectified(z, found.sides if SIDES in self.needs else None),
        )
        hooks = []
        if MAPS in self.needs:
            hooks += [
                part.register_forward_hook(lambda *call: _keep_map(found.maps, call[-1]))
                for part in self.net.modules()
            ]
        if BLOCKS in self.needs and (blocks := blocks_of(self.net)):
            hooks.append(
                blocks[0].register_forward_pre_hook(lambda _, call: _keep(found.blocks, call[-1]))
            )
            hooks += [
                block.register_forward_hook(lambda *call: _keep(found.blocks, call[-1]))
                for block in blocks
            ]
        with torch.set_grad_enabled(bool(self.needs & _GRADIENTS)), watch:
            found.outputs = self._outputs(x)
        for hook in hooks:
            hook.remove()
        return found

    def _keep_signs(self, found: Seen, z: Tensor) -> None:
        n = len(self.inputs)
        if z.shape[:1] != (n,):
            return
        signs = _flat(z.detach()) > 0
        if CODES in self.needs:
            one = signs.to(torch.float32).mul_(2).sub_(1)  # products of signs are +1 or -1
            same = (one @ one.T).to(torch.float64)
            found.agreement = same if found.agreement is None else found.agreement + same
            found.units += signs.shape[1]
        if PATTERNS in self.needs:
            few = signs[:_SAMPLES].to(torch.int32)
            places = 2 ** torch.arange(len(few), dtype=torch.int32, device=few.device)
            found.patterns.append((few * places[:, None]).sum(dim=0, dtype=torch.int32).unique())

    @cached_property
    def same(self) -> tuple[Tensor, int]:
        """In how many units two examples have the same sign, (n, n), and of how many units."""
        if self.seen.agreement is None:
            raise SpaceError("the network has no ReLU, nor anything like it")
        return (self.seen.agreement + self.seen.units) / 2, self.seen.units

    @cached_property
    def first(self) -> tuple[list[Tensor], list[Tensor]]:
        """Gradients of the loss by the weights, and by the outputs of layers; zeros where none."""
        wanted = [*self.layers, *(one.output for one in self.seen.layers)]
        value = self.loss(self.seen.outputs, self.targets)
        if not value.requires_grad:
            raise SpaceError("the loss does not depend on any weight of the network")
        found = gradient(value, wanted)
        n = len(self.weights)
        return found[:n], found[n:]

    @property
    def gradients(self) -> list[Tensor]:
        """Of the loss by each of the weights."""
        return self.first[0]

    @cached_property
    def jacobian(self) -> Tensor:
        """Gradient of the sum of all outputs by the inputs, (n, inputs)."""
        if not self.seen.inputs.requires_grad:
            raise DataError("inputs are whole numbers: there is no gradient by them")
        (found,) = gradient(self.seen.outputs.sum(), [self.seen.inputs])
        if not found.any():
            raise SpaceError("the outputs do not depend on the inputs")
        return found.flatten(1)

    # -- further passes -------------------------------------------------------------------------

    @cached_property
    def curvature(self) -> list[Tensor]:
        """The Hessian of the loss times the weights themselves, for each of the weights.

        By central differences of the gradient along the weights. Each ReLU keeps the side that it
        has, so that nothing is between the two but what the Hessian says; to differentiate twice
        instead takes three times as long.
        """
        _ = self.seen  # notes the sides
        above, below = (self._gradients_at(1 + step) for step in (_STEP, -_STEP))
        return [(a - b) / (2 * _STEP) for a, b in zip(above, below, strict=True)]

    def _gradients_at(self, scale: float) -> list[Tensor]:
        """Gradients with all weights that much larger, and the sides of ReLUs that were noted."""
        own = {id(w) for w in self.layers}
        moved = {
            k: (scale * p.detach()).requires_grad_() if id(p) in own else p.detach()
            for k, p in self._named
        }
        sides = iter(self.seen.sides)
        watch = Watch(rectify=lambda z: z * next(sides))
        outputs = self.run(self.inputs, lambda name, _: moved[name], watch)
        used = [moved[k] for k, p in self._named if id(p) in own]
        return gradient(self.loss(outputs, self.targets), used, retain_graph=False)

    @cached_property
    def halves(self) -> list[list[Tensor]]:
        """Gradients of the loss by the weights on each half of the batch alone."""
        if len(self.inputs) < 4:
            raise DataError("two halves of the batch", expected="4 examples", got=len(self.inputs))
        found = []
        for x, y in zip(self.inputs.chunk(2), self.targets.chunk(2), strict=True):
            value = self.loss(self._outputs(x), y)
            found.append(gradient(value, self.layers, retain_graph=False))
        return found

    @cached_property
    def apart(self) -> tuple[Tensor, list[Layer]]:
        """Outputs of the first examples, and the layers, with fixed statistics of normalisation.

        What one example brings about does not reach the others then: a gradient is the sum of
        those of the examples.
        """
        layers: list[Layer] = []
        with torch.enable_grad(), Watch(on_layer=layers.append, normalise=_held):
            outputs = self._outputs(self.inputs[:_SAMPLES])
        kept = [one for one in layers if one.weight.requires_grad and one.output.requires_grad]
        return outputs, kept

    def run(
        self,
        inputs: Tensor,
        values: Callable[[str, nn.Parameter], Tensor] | None = None,
        watch: Watch | None = None,
        double: bool = False,
    ) -> Tensor:
        """Outputs (n, outputs) of any inputs, of the network with other values of its parameters.

        Args:
            inputs: (n, ...).
            values: of a parameter by its name and itself; None for what it has.
            watch: sees the pass.
            double: whether numbers that are no parameters are taken in double precision too.
        """
        chosen: dict[str, Tensor] = (
            {} if values is None else {k: values(k, p) for k, p in self._named}
        )
        if double:
            chosen |= {k: b.double() for k, b in self.net.named_buffers() if b.is_floating_point()}
        with watch or nullcontext():
            return self._outputs(inputs, chosen)

    def _outputs(self, inputs: Tensor, values: dict[str, Tensor] | None = None) -> Tensor:
        """Of a pass, in which dropout draws what it draws in every other one."""
        torch.default_generator.manual_seed(self._dropout)
        if inputs.device.type == "cuda":
            torch.cuda.manual_seed(self._dropout)
        return checked(functional_call(self.net, values or {}, (inputs,)), len(inputs))

    @cached_property
    def _named(self) -> list[tuple[str, nn.Parameter]]:
        return list(self.net.named_parameters())


def copied(module: nn.Module) -> nn.Module:
    """A copy in training mode, without gradients."""
    try:
        net = copy.deepcopy(module)
    except Exception as error:
        raise SpaceError(
            f"a network of {type(module).__name__} cannot be copied: {error}",
            hint="score it before it has run, or give a fresh one",
        ) from error
    for p in net.parameters():
        p.grad = None
    return net.train()


def gradient(
    value: Tensor,
    wanted: Sequence[Tensor],
    retain_graph: bool = True,
    along: Tensor | None = None,
) -> list[Tensor]:
    """Of a number by tensors (of a tensor `along` another); zeros where it does not depend."""
    found = torch.autograd.grad(
        value,
        wanted,
        grad_outputs=along,
        retain_graph=retain_graph,
        allow_unused=True,
    )
    return [torch.zeros_like(w) if g is None else g for w, g in zip(wanted, found, strict=True)]


def usual_loss(targets: Tensor) -> Loss:
    """Cross entropy of classes, mean squared error of numbers."""
    if targets.is_floating_point():
        return lambda out, y: functional.mse_loss(out, y.view_as(out))
    return functional.cross_entropy


def checked(outputs: Any, n: int) -> Tensor:
    """The outputs of a network as (n, outputs); of several, the last."""
    last = outputs[-1] if isinstance(outputs, (tuple, list)) and outputs else outputs
    if not isinstance(last, Tensor) or last.ndim < 1 or len(last) != n:
        got = tuple(last.shape) if isinstance(last, Tensor) else type(last).__name__
        raise SpaceError("output of the network", expected=f"a tensor ({n}, outputs)", got=got)
    return last.reshape(n, -1)


def blocks_of(net: nn.Module) -> list[nn.Module]:
    """The parts of the network in a row: children of its longest sequence or list of modules."""
    rows = [m for m in net.modules() if isinstance(m, (nn.Sequential, nn.ModuleList))]
    longest = max(rows, key=len, default=None)
    return [] if longest is None or len(longest) < 2 else list(longest.children())


def _rectified(z: Tensor, sides: list[Tensor] | None) -> Tensor:
    """ReLU, never in place: what was kept of the pass stays."""
    if sides is not None:
        sides.append(z.detach() > 0)
    return functional.relu(z)


def _flat(z: Tensor) -> Tensor:
    """(n, ...) to (n, units), in the order in which they lie."""
    last = z.ndim == 4 and z.is_contiguous(memory_format=torch.channels_last)
    return (z.permute(0, 2, 3, 1) if last else z).reshape(len(z), -1)


def _keep(into: list[Tensor], value: Any) -> None:
    last = value[-1] if isinstance(value, (tuple, list)) and value else value
    if isinstance(last, Tensor) and last.ndim >= 2 and last.is_floating_point():
        into.append(last)


def _keep_map(into: list[Tensor], value: Any) -> None:
    if isinstance(value, Tensor) and value.ndim >= 3:
        into.append(value.detach()[0].flatten(1).clone())


def _held(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Batch normalisation by the statistics of the batch, taken as constants."""
    over = [0, *range(2, x.ndim)]
    mean, var = x.detach().mean(over), x.detach().var(over, unbiased=False)
    return functional.batch_norm(x, mean, var, weight, bias, False, momentum, eps)
