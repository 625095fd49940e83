"""Ray as a `concurrent.futures.Executor`: Ray Core tasks, and nothing else of Ray."""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from concurrent.futures import wait as wait_for
from typing import Any, ClassVar, ParamSpec, TypeVar

from foretell.errors import ForetellError, RunError, SettingError, need, unknown_name
from foretell.evaluators.base import Evaluator
from foretell.evaluators.executors.base import Lost, Pool, died
from foretell.evaluators.parts.guard import Guard

P = ParamSpec("P")
T = TypeVar("T")

_OPTIONS = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}  # and what a node calls them
_REACH_S = 5.0  # seconds in which an address answers

_log = logging.getLogger(__name__)


class LostError(ForetellError, RuntimeError):
    """Processes or nodes that worked on a call were lost, more often than calls are repeated."""


class RayExecutor(Executor):
    """Runs calls as tasks of a Ray cluster.

    What was on a node that is lost or preempted is run again by Ray, `max_retries` times. An
    `Evaluator` among the arguments is put into the object store once, so that each node has one
    copy of it and of its data. Cancelling a future also ends a call that is running.

    Args:
        address: "host:port" of a cluster, "auto" for the one of this machine, "ray://host:port"
            for a Ray client; None or "local" starts one here, for as long as this executor.
        resources: of one call, as Ray names them: "num_cpus" (1 unless said) and "num_gpus", which
            may be fractions, "memory" in bytes, or a resource that the cluster has.
        max_retries: how often a call is run again whose process or node is lost.
        workers: calls at once; None for what the cluster has room for, also while it grows.

    Attributes:
        label: the cluster in words.
        warnings: what is not there, or not used, one line each.

    Raises:
        MissingExtraError: Ray is not installed.
        RunError: no cluster answers at the address.
        SettingError: a number is out of range, or a local Ray does not have what is asked.
        UnknownNameError: a resource that the cluster does not have.
    """

    def __init__(
        self,
        address: str | None = None,
        resources: Mapping[str, float] | None = None,
        max_retries: int = 3,
        workers: int | None = None,
    ) -> None:
        if max_retries < 0:
            raise SettingError("max_retries", expected="0 or more", got=max_retries)
        if workers is not None and workers < 1:
            raise SettingError("workers", expected="1 or more", got=workers)
        self.resources = {"num_cpus": 1, **(resources or {})}
        for name, amount in self.resources.items():
            if not isinstance(amount, (int, float)) or not 0 <= amount < math.inf:
                raise SettingError(f"resource {name!r}", expected="0 or more", got=repr(amount))
        try:
            import ray
        except ImportError:
            raise need("ray", "ray", "a Ray cluster") from None
        self._ray: Any = ray
        self._workers = workers
        self._owner = not ray.is_initialized()
        self._seen = (-math.inf, 1)
        self._put: dict[int, tuple[Evaluator, Any]] = {}
        self._pending: set[Future[Any]] = set()
        self._open = True
        local = self._owner and address in (None, "local")
        if self._owner:
            _connect(ray, address or "local")
        try:
            have = self._ray.cluster_resources()
            options = _options(self.resources, have, local)
        except ForetellError:
            self.shutdown()
            raise
        # a call that raises is told as it is: only lost processes and nodes are repeated
        self._task = ray.remote(_call).options(
            **options, max_retries=max_retries, retry_exceptions=False
        )
        self.label, self.warnings = self._words(have)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """A future of `fn(*args, **kwargs)`, called somewhere in the cluster."""
        if not self._open:
            raise RuntimeError("cannot schedule new futures after shutdown")
        ref = self._task.remote(fn, *map(self._shared, args), **kwargs)
        future: _TaskFuture[T] = _TaskFuture(self._ray, ref)
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        ref.future().add_done_callback(future.take)
        return future

    def _shared(self, value: object) -> object:
        """An evaluator as a reference to its one copy in the object store."""
        if not isinstance(value, Evaluator):
            return value
        if id(value) not in self._put:
            self._put[id(value)] = (value, self._ray.put(value))
        return self._put[id(value)][1]

    @property
    def room(self) -> int:
        """How many calls the cluster has room for now, at least 1."""
        if self._workers is not None:
            return self._workers
        since, room = self._seen
        if time.monotonic() - since > 2.0:
            have = self._ray.cluster_resources()
            asked = {_OPTIONS.get(name, name): n for name, n in self.resources.items() if n > 0}
            shares = [int(have.get(name, 0.0) / n + 1e-9) for name, n in asked.items()]
            room = max(1, min(shares, default=int(have.get("CPU", 1))))
            self._seen = (time.monotonic(), room)
        return room

    def _words(self, have: Mapping[str, float]) -> tuple[str, list[str]]:
        nodes = sum(bool(node["Alive"]) for node in self._ray.nodes())
        each = ", ".join(f"{name}={amount:g}" for name, amount in self.resources.items())
        cpus, gpus = have.get("CPU", 0), have.get("GPU", 0)
        label = (
            f"trials run on Ray: {nodes} node{'s' * (nodes != 1)}, {cpus:g} CPUs, {gpus:g} GPUs; "
            f"each takes {each}"
        )
        warnings = [
            f"the cluster has {have.get(_OPTIONS.get(name, name), 0):g} of {name}, "
            f"a trial needs {amount:g}: trials wait until it grows"
            for name, amount in self.resources.items()
            if amount > have.get(_OPTIONS.get(name, name), 0)
        ]
        if gpus and not self.resources.get("num_gpus"):
            warnings.append(f"{gpus:g} GPUs idle: no trial asks for one; use num_gpus=1")
        return label, warnings

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; end the local Ray, or the connection, that this executor has made.

        Args:
            wait: until all calls have ended; else they are cancelled.
            cancel_futures: cancel the calls that have not ended.
        """
        self._open = False
        pending = list(self._pending)
        if cancel_futures or not wait:
            for future in pending:
                future.cancel()
        wait_for(pending)
        self._put.clear()
        if self._owner:
            self._ray.shutdown()
            self._owner = False


class Ray(Pool):
    """A cluster of Ray.

    Args:
        executor: on it; it stays open.
    """

    executor: RayExecutor
    ends_late: ClassVar[bool] = True

    def __init__(self, executor: RayExecutor) -> None:
        super().__init__(executor)
        self.warnings = executor.warnings

    @property
    def label(self) -> str:
        """The cluster in words."""
        return self.executor.label

    @property
    def room(self) -> float:
        """What the cluster has room for now."""
        return self.executor.room

    def lost(
        self, future: Future[T], error: BaseException, guard: Guard, took_s: float, attempts: int
    ) -> Lost | None:
        """Ray has given a call up."""
        return died(error, guard, took_s) if isinstance(error, LostError) else None


class _TaskFuture(Future[T]):
    """The future of a Ray task."""

    def __init__(self, ray: Any, ref: Any) -> None:
        super().__init__()
        self._ray, self._ref = ray, ref
        self._turn = threading.Lock()

    def cancel(self) -> bool:
        """Cancel the task, also if it is running; False if it has ended."""
        with self._turn:
            if self.done() or not super().cancel():
                return self.cancelled()
            self.set_running_or_notify_cancel()
        self._ray.cancel(self._ref, force=True)  # gently would wait for what sleeps
        return True

    def take(self, ended: Future[T]) -> None:
        """Take the result, or the error in our words, of the task's own future."""
        with self._turn:
            if self.cancelled():
                return
            self.set_running_or_notify_cancel()
        error = ended.exception()
        self._ref = None  # so that the object store can forget it
        if error is None:
            self.set_result(ended.result())
        else:
            self.set_exception(_told(self._ray.exceptions, error))


def _told(kinds: Any, error: BaseException) -> BaseException:
    """What a caller wants to know of an error of Ray."""
    if isinstance(error, kinds.RayTaskError):
        return error.cause if isinstance(error.cause, Exception) else error
    lost = (
        kinds.WorkerCrashedError, kinds.NodeDiedError, kinds.OutOfMemoryError, kinds.ObjectLostError
    )  # fmt: skip
    if isinstance(error, lost):
        first = next(iter(str(error).strip().splitlines()), "").partition(". ")[0]
        return LostError(f"{type(error).__name__}: {first[:200]}")
    return error


def _call(fn: Callable[..., T], /, *args: object, **kwargs: object) -> T:
    return fn(*args, **kwargs)


def _options(
    resources: Mapping[str, float], have: Mapping[str, float], local: bool
) -> dict[str, Any]:
    """Resources as the options of a Ray task."""
    own = {name for name in have if ":" not in name} - {*_OPTIONS.values(), "object_store_memory"}
    for name, amount in resources.items():
        if name not in _OPTIONS and name not in own:
            raise unknown_name("resource", name, {*_OPTIONS, *own})
        there = have.get(_OPTIONS.get(name, name), 0.0)
        if local and amount > there:
            raise SettingError(
                f"resource {name!r}", expected=f"at most the {there:g} of this machine", got=amount
            )
    options: dict[str, Any] = {k: v for k, v in resources.items() if k in _OPTIONS}
    return options | {"resources": {k: v for k, v in resources.items() if k not in _OPTIONS}}


def _connect(ray: Any, address: str) -> None:
    """Join or start a cluster, without a word."""
    host, colon, port = address.rpartition("://")[2].partition(":")
    try:
        if colon and port.isdecimal():
            _greet(host, int(port))
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address == "local":
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            options["include_dashboard"] = False
        ray.init(address=address, **options)
    except (OSError, ValueError, RuntimeError) as error:
        line = " ".join(str(error).split())[:200]
        raise RunError(
            f"no Ray cluster at {address!r}",
            got=line,
            hint="see `ray status` there, or use --address local",
        ) from error
    # Ray prints its events to stdout, which is for results
    ray._private.worker.print_to_stdstream = _to_log


def _greet(host: str, port: int) -> None:
    """See whether a server of Ray's protocol (HTTP/2) answers: Ray itself tries for minutes.

    Raises:
        OSError: it does not.
    """
    with socket.create_connection((host, port), timeout=_REACH_S) as line:
        if os.environ.get("RAY_USE_TLS", "0") == "1":  # it would wait for a handshake
            return
        settings = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
        line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
        if line.recv(9)[3:4] != settings[3:4]:
            raise ConnectionError("something else than Ray answers")


def _to_log(data: Mapping[str, Any], *_: object, **__: object) -> None:
    for line in data.get("lines", ()):
        _log.info("%s", line)
