"""A card that is not there: what the CUDA paths call, on the CPU, with recordings that are true.

Tensors that ask for "cuda" live in main memory. While a graph is recorded, each operation below
autograd is written down, and what it did to tensors from before is undone at the end; a replay
does the operations again at the same places. So a step that hangs on anything but its buffers (a
rate as a number, an index made anew, a branch of Python) trains another network here as well.
Events are done some queries after they were made.
"""

from __future__ import annotations

import contextlib
import itertools
import warnings
from types import SimpleNamespace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

CPU = torch.device("cpu")
REAL = torch.cuda
LATE = 3  # queries until an event is done


class Moved(TorchFunctionMode):
    """What asks for the card gets main memory; what waits for it is said, if that is wanted."""

    def __init__(self, cuda: Cuda) -> None:
        super().__init__()
        self.cuda = cuda

    def __torch_function__(self, func, types, args=(), kwargs=None):
        args, kwargs = tree_map_only(torch.device, _here, (args, kwargs or {}))
        if func in (torch.Tensor.item, torch.Tensor.__float__, torch.Tensor.__bool__):
            self.cuda.waits()
        return func(*args, **kwargs)


def _here(device: torch.device) -> torch.device:
    return CPU if device.type == "cuda" else device


class Graph:
    """A recording: operations with their arguments and what they gave."""

    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda
        self.done: list[tuple[Any, Any, Any, Any]] = []
        self.replays = 0

    def capture_begin(self, pool: Any = None, capture_error_mode: str = "global") -> None:
        """What is done from here on is written down."""
        if self.cuda.stream_now is self.cuda.default:
            raise RuntimeError("CUDA graphs must be captured on a non-default stream.")
        self.recording = Recording(self)
        self.recording.__enter__()

    def capture_end(self) -> None:
        """And undone."""
        self.recording.__exit__(None, None, None)
        self.recording.undo()
        del self.recording  # it knows this recording
        self.cuda.graphs.append(self)
        self.cuda.streams.append(self.cuda.stream_now.id)

    def replay(self) -> None:
        """Do them again, at the same places."""
        self.replays += 1
        with torch.no_grad():
            for func, args, kwargs, out in self.done:
                for new, old in zip(
                    _made(func, func(*args, **kwargs)), _made(func, out), strict=True
                ):
                    old.copy_(new)


def _made(func: Any, out: Any) -> list[torch.Tensor]:
    """Tensors that an operation has made, and are no views of what it got."""
    parts = (out,)[: len(func._schema.returns)]
    if len(func._schema.returns) > 1:
        parts = out
    made = [
        tree_leaves(part)
        for part, said in zip(parts, func._schema.returns, strict=True)
        if said.alias_info is None
    ]
    return [one for part in made for one in part if isinstance(one, torch.Tensor)]


class Recording(TorchDispatchMode):
    """Writes down what is done, and undoes at the end what it did to tensors from before."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph, self.before = graph, dict[int, tuple[Any, Any]]()
        self.born: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")
        for one, value in zip(func._schema.arguments, args, strict=False):
            if one.alias_info is not None and one.alias_info.is_write:
                self._keep(value)
        for one in func._schema.arguments:
            if one.alias_info is not None and one.alias_info.is_write and one.name in kwargs:
                self._keep(kwargs[one.name])
        out = func(*args, **kwargs)
        held = tree_map_only(torch.Tensor, lambda x: x.detach(), (args, kwargs, out))
        self.graph.done.append((func, *held))
        self.born |= {new.untyped_storage().data_ptr() for new in _made(func, out)}
        return out

    def _keep(self, value: Any) -> None:
        for one in tree_leaves(value):
            storage = one.untyped_storage()
            if storage.data_ptr() not in self.born:
                self.before.setdefault(storage.data_ptr(), (storage, storage.clone()))

    def undo(self) -> None:
        for storage, was in self.before.values():
            storage.copy_(was)


class Stream:
    made = itertools.count()

    def __init__(self, device: Any = None) -> None:
        self.device, self.id = device, next(Stream.made)

    def wait_stream(self, other: Stream) -> None:
        pass

    def synchronize(self) -> None:
        pass


class Event:
    now = 0.0

    def __init__(self, cuda: Cuda) -> None:
        self.left = cuda.late

    def record(self, stream: Stream | None = None) -> None:
        Event.now += 1.0
        self.at = Event.now

    def query(self) -> bool:
        self.left -= 1
        return self.left < 0

    def synchronize(self) -> None:
        self.left = 0

    def elapsed_time(self, other: Event) -> float:
        return other.at - self.at


class Cuda:
    """Stands for `torch.cuda`."""

    def __init__(self) -> None:
        self.default = Stream()
        self.stream_now, self.mode, self.late = self.default, 0, LATE
        self.graphs: list[Graph] = []
        self.streams: list[int] = []  # on which each was recorded
        self.broken = ""
        self.shares: list[float] = []  # of the memory that a process may have
        self.default_generators = (Generator(),)
        self.OutOfMemoryError = torch.OutOfMemoryError

    def waits(self) -> None:
        if self.mode:
            warnings.warn("called a synchronizing CUDA operation", UserWarning, stacklevel=3)

    def __getattr__(self, name: str) -> Any:  # what torch itself asks
        return getattr(REAL, name)

    # what the library calls
    def is_available(self) -> bool:
        return True

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def is_bf16_supported(self) -> bool:
        return False

    def init(self) -> None: ...

    def empty_cache(self) -> None: ...

    def manual_seed(self, seed: int) -> None: ...

    def get_rng_state(self, device: Any = None) -> torch.Tensor:
        return torch.zeros(2, dtype=torch.uint8)

    def set_rng_state(self, state: torch.Tensor, device: Any = None) -> None: ...

    def mem_get_info(self, device: Any = None) -> tuple[int, int]:
        return 60 << 30, 80 << 30

    def synchronize(self, device: Any = None) -> None:
        if self.broken:
            raise RuntimeError(self.broken)

    def get_device_properties(self, device: Any) -> SimpleNamespace:
        return SimpleNamespace(total_memory=80 * 10**9)

    def memory_reserved(self, device: Any = None) -> int:
        return 10**9

    def set_per_process_memory_fraction(self, share: float, device: Any = None) -> None:
        self.shares.append(share)

    def is_current_stream_capturing(self) -> bool:
        return False

    def get_sync_debug_mode(self) -> int:
        return self.mode

    def set_sync_debug_mode(self, mode: Any) -> None:
        self.mode = {"default": 0, "warn": 1}.get(mode, mode)

    def graph_pool_handle(self) -> tuple[int, int]:
        return (0, next(Stream.made))

    def device(self, device: Any) -> Any:
        return contextlib.nullcontext()

    Stream = Stream

    def CUDAGraph(self) -> Graph:  # noqa: N802
        return Graph(self)

    def Event(self, enable_timing: bool = False) -> Event:  # noqa: N802
        return Event(self)

    def current_stream(self, device: Any = None) -> Stream:
        return self.stream_now

    def default_stream(self, device: Any = None) -> Stream:
        return self.default

    @contextlib.contextmanager
    def stream(self, stream: Stream):
        before, self.stream_now = self.stream_now, stream
        try:
            yield
        finally:
            self.stream_now = before


class Generator:
    """The card's random numbers: a state that is exchanged, and nothing that draws from it."""

    def __init__(self, state: Any = None) -> None:
        self.state = state or torch.Generator()

    def clone_state(self) -> Generator:
        return Generator(torch.Generator().set_state(self.state.get_state()))

    def graphsafe_get_state(self) -> Generator:
        return Generator(self.state)

    def graphsafe_set_state(self, other: Generator) -> None:
        self.state = other.state

    def manual_seed(self, seed: int) -> None:
        self.state.manual_seed(seed)

    def get_state(self) -> torch.Tensor:
        return self.state.get_state()

    def set_state(self, state: torch.Tensor) -> None:
        self.state.set_state(state)
