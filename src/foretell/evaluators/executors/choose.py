"""The backend of an executor."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

from foretell.evaluators.base import Evaluator
from foretell.evaluators.executors.base import Backend
from foretell.evaluators.executors.dask import Dask, is_dask
from foretell.evaluators.executors.here import Here, InProcess
from foretell.evaluators.executors.local import Local
from foretell.evaluators.executors.pools import Sized
from foretell.evaluators.executors.ray import Ray, RayExecutor
from foretell.evaluators.parts import places


def backend(
    executor: Executor | None, workers: int, evaluator: Evaluator, devices: Sequence[str] | None
) -> Backend:
    """What runs trials.

    Args:
        executor: a user's; None for local processes.
        workers: local processes; 0 for none.
        evaluator: says what it trains on.
        devices: what local workers share out; None to ask.
    """
    if isinstance(executor, RayExecutor):
        return Ray(executor)
    if executor is not None and not isinstance(executor, InProcess):
        return Dask(executor) if is_dask(executor) else Sized(executor)
    device, found = evaluator.device, devices or ()
    if devices is None and executor is None and device in ("auto", "cuda"):
        found = places.cuda_devices()
    if executor is None and workers > 0:
        return Local(workers, device, evaluator.threads, found)
    here = ("cuda:0" if found else "cpu") if device in ("auto", "cuda") else device
    return Here(
        executor or InProcess(),
        workers,
        here,
        places.idle(workers, found) if executor is None else [],
    )
