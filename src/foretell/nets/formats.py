"""A network as the bytes of other programs' formats: ONNX, and torch.export's .pt2."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import logging
import os
import re
import traceback
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn
from torch.export import Dim, ExportedProgram

from foretell.errors import RunError, need

_HINT = "write its forward in operations of torch, such as torch.where for `if`"


def program_of(
    module: nn.Module, example: torch.Tensor, *, any_batch: bool = True
) -> ExportedProgram:
    """The program of a network in eval mode.

    Args:
        module: of one input and one output.
        example: a batch of inputs.
        any_batch: it runs batches of any size, not only that of the example, which has two or
            more inputs then: torch takes a size of one for a constant.

    Raises:
        RunError: its forward is more than a graph of torch calls, or fixes the batch size; the
            message has the reason and the line.
    """
    shapes = ({0: Dim("batch")},) if any_batch else None
    with _quietly("exported", _HINT):
        program = torch.export.export(module, (example,), dynamic_shapes=shapes, strict=False)
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)  # files and folders of this machine
    return program


def pt2_of(program: ExportedProgram, facts: Mapping[str, str]) -> bytes:
    """A .pt2 file for `torch.export.load`, with `facts` in its extra file "foretell.json"."""
    buffer = io.BytesIO()
    with _quietly("written as .pt2", _HINT):
        torch.export.save(program, buffer, extra_files={"foretell.json": json.dumps(facts)})
    return buffer.getvalue()


def onnx_of(program: ExportedProgram, output: str, facts: Mapping[str, str]) -> tuple[bytes, int]:
    """An ONNX file with `facts` as metadata, and its opset.

    Args:
        program: by `program_of`.
        output: name of the output; the input is "input", a dimension of any size "batch".
        facts: names and texts.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
        RunError: an operation has no form in ONNX, or the file would be larger than 2 GB.
    """
    for package in ("onnx", "onnxscript"):
        needed(package)
    with _quietly("written as ONNX", ".pt2 keeps the operations of torch"):
        written: Any = torch.onnx.export(
            program,
            (),
            input_names=["input"],
            output_names=[output],
            dynamic_shapes=({0: Dim("batch")},) if program.range_constraints else None,
            dynamo=True,
            verbose=False,
        )
        proto = written.model_proto
        for node in proto.graph.node:  # notes of the exporter, twice the size of a small network
            node.ClearField("metadata_props")
        for key, value in facts.items():
            proto.metadata_props.add(key=key, value=value)
        data: bytes = proto.SerializeToString()
    return data, next(o.version for o in proto.opset_import if o.domain in ("", "ai.onnx"))


def needed(package: str) -> Any:
    """A package of the extra `onnx`.

    Raises: MissingExtraError.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        raise need(package, "onnx", "export to ONNX") from None


@contextlib.contextmanager
def _quietly(done: str, hint: str) -> Iterator[None]:
    """torch's exporters without their prints, warnings and logs; what they raise in one line."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    silent = io.StringIO()
    try:
        with (
            torch.no_grad(),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(silent),
            contextlib.redirect_stderr(silent),
        ):
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # whatever an exporter, or a user's forward in it, raises
        why = f"{_reason(error)}{_place(error)}"
        raise RunError(f"this network cannot be {done}: {why}", hint=hint) from error
    finally:
        logging.disable(before)


def _reason(error: BaseException) -> str:
    """Why an exporter refuses, in few words."""
    text = "".join(traceback.format_exception(error))  # they wrap errors under pages of advice
    if "data-dependent" in text:
        return "its forward has a Python condition or loop on values of tensors"
    if "Constraints violated" in text:
        return "its forward depends on the number of examples in a batch"
    if found := re.search(r"No ONNX function found for .*?op='([\w.]+)'", text):
        return f"ONNX has no form of the operation {found[1]}"
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _place(error: BaseException) -> str:
    """The line of the network's own source that was at work, if it is known."""
    outside = (os.path.dirname(torch.__file__), contextlib.__file__, __file__, "<")
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(outside)
    ]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
