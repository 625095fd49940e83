"""What `foretell doctor` looks at."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
import tempfile
from dataclasses import dataclass

from foretell._version import __version__


@dataclass(frozen=True)
class Fact:
    """One thing looked at: what was found, and what to do about it ("" when all is well)."""

    what: str
    found: str
    advice: str = ""


_EXTRAS = {  # of pyproject: modules that each brings
    "trees": ("xgboost", "lightgbm", "ngboost"),
    "gp": ("gpytorch", "ot"),
    "bench": ("pyarrow", "nas_bench_graph"),
    "ray": ("ray",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "optuna": ("optuna",),
    "timm": ("timm",),
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
    "wandb": ("wandb",),
}


def examine() -> list[Fact]:
    """Versions, extras, devices and limits of this machine."""
    facts = [Fact("foretell", __version__), Fact("python", platform.python_version())]
    facts += [Fact(name, _version(name)) for name in ("torch", "numpy", "scikit-learn", "loky")]
    facts.append(_device())
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    facts.append(Fact("cores", f"{cores}", "" if cores > 1 else "use --workers 1"))
    facts.append(_writable())
    for extra, modules in _EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        facts.append(
            Fact(
                f"extra {extra!r}",
                "missing " + ", ".join(missing) if missing else "installed",
                f"pip install 'foretell[{extra}]'" if missing else "",
            )
        )
    return facts


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _device() -> Fact:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return Fact("device", "cuda: " + ", ".join(names))
    asked = os.environ.get("CUDA_VISIBLE_DEVICES")
    advice = (
        f"CUDA_VISIBLE_DEVICES={asked!r} asks for one: check the driver and torch's build"
        if asked
        else ""
    )
    return Fact("device", "cpu", advice)


def _writable() -> Fact:
    try:
        with tempfile.TemporaryFile(dir="."):
            return Fact("current folder", "writable")
    except OSError as error:
        return Fact("current folder", f"not writable: {error}", "use --out with another folder")
