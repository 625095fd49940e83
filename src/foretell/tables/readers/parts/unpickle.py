"""Pickles of plain values, read without running any code of theirs.

A pickle may name any function and have it called. This reader knows a handful of names - ordered
and default dicts, sets, numpy arrays and scalars - and refuses every other one by its name.
"""

from __future__ import annotations

import collections
import io
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np

from foretell.errors import DataError
from foretell.tables.base import unpacked


class _Array:
    """Stands for the class of arrays, as an argument only."""


def _reconstruct(kind: object, shape: object, dtype: object) -> Any:
    """An empty array, which the next instruction fills."""
    return np.empty(0, dtype=np.uint8)


def _scalar(dtype: Any, data: Any = b"") -> Any:
    if not isinstance(dtype, np.dtype) or dtype.hasobject or not isinstance(data, bytes):
        raise pickle.UnpicklingError("a numpy scalar of no plain type")
    if dtype.itemsize != len(data):
        raise pickle.UnpicklingError("a numpy scalar of another length than its type")
    return np.frombuffer(data, dtype)[0]


def _dtype(code: object, *flags: object) -> Any:
    if not isinstance(code, str) or "O" in code:
        raise pickle.UnpicklingError(f"an array of {code!r}")
    return np.dtype(code, False, True)  # a copy: what comes next changes it


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> Any:
    if not isinstance(dtype, np.dtype) or dtype.hasobject or order not in ("C", "F"):
        raise pickle.UnpicklingError("an array of no plain type")
    return np.frombuffer(data, dtype).reshape(shape, order=order).copy(order)


def _latin1(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("bytes in an unknown encoding")
    return text.encode("latin1")


def _default_dict(factory: object = None) -> Any:
    return collections.defaultdict(None)


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): _default_dict,
    ("_codecs", "encode"): _latin1,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _dtype,
    **{
        (f"numpy.{core}.{name}", function): ours
        for core in ("core", "_core")  # numpy 1 and 2
        for name, function, ours in (
            ("multiarray", "scalar", _scalar),
            ("multiarray", "_reconstruct", _reconstruct),
            ("numeric", "_frombuffer", _from_buffer),
        )
    },
    **{
        (module, kind.__name__): kind
        for module in ("builtins", "__builtin__")
        for kind in (set, frozenset, dict, list, tuple, int, float, bool, complex)
    },
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it names {module}.{name}, and only plain values are read"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it points to data outside the file")


def loads(data: bytes, what: str) -> Any:
    """The value of a pickle.

    Args:
        data: the pickle.
        what: how the file is called in errors.

    Raises: DataError where it is torn, or names anything but plain values.

    >>> loads(pickle.dumps({"a": (1, 2.5)}), "x"), loads(pickle.dumps(np.arange(3)), "x").tolist()
    ({'a': (1, 2.5)}, [0, 1, 2])
    >>> loads(pickle.dumps(print), "x.pkl")
    Traceback (most recent call last):
    ...
    foretell.errors.DataError: x.pkl is no pickle of plain values: it names builtins.print...
    """
    try:
        return _Reader(io.BytesIO(data), encoding="latin1").load()
    except (MemoryError, RecursionError, Exception) as error:  # a torn stream may raise anything
        raise DataError(
            f"{what} is no pickle of plain values: {' '.join(str(error).split())[:160]}",
            hint="copy it again from its official place",
        ) from error


def load(path: Path) -> Any:
    """The value of a pickle file, packed with gzip or bzip2 or not."""
    return loads(unpacked(path), path.name)


def torch_file(path: Path) -> Any:
    """A file of torch.save, plain values and tensors only."""
    import torch
    from numpy.dtypes import Float32DType, Float64DType, Int64DType

    names: list[Any] = [np.dtype, Float32DType, Float64DType, Int64DType]
    scalar = np.float64(0).__reduce__()[0]  # numpy's constructor of scalars, which has moved
    names += [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    try:
        with torch.serialization.safe_globals(names):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a torn file may raise anything
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        why = f"it names {named[1]}" if named else " ".join(str(error).split())[:120]
        raise DataError(
            f"{path.name!r} cannot be read as plain values: {why}",
            hint="copy it again from its official place",
        ) from error
