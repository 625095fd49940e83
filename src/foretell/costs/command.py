"""A user's own command that measures a network, on a telephone or a board, say."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from foretell.errors import SettingError
from foretell.nets.formats import needed, onnx_of, program_of, pt2_of

FILES = ("onnx", "pt2")
PLACES = (*FILES, "arch", "json")
_PLACE = re.compile(r"\{(\w+)\}")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)


def check_command(command: str) -> list[str]:
    """The words of a command that names the network in some way, or an error.

    >>> check_command("adb shell bench --model {onnx}")
    ['adb', 'shell', 'bench', '--model', '{onnx}']
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SettingError(f"latency command {command!r}", got=str(error)) from None
    named = {name for word in words for name in _PLACE.findall(word)}
    if not named or not named <= set(PLACES):
        raise SettingError(
            f"latency command {command!r}",
            expected="one or more of " + ", ".join(f"{{{name}}}" for name in PLACES),
            got=", ".join(f"{{{name}}}" for name in sorted(named - set(PLACES))) or "none of them",
        )
    if "onnx" in named:
        for package in ("onnx", "onnxscript"):
            needed(package)
    return words


def run_command(
    command: str,
    network: nn.Module,
    example: torch.Tensor,
    facts: Mapping[str, Any],
    timeout_s: float,
) -> float:
    """The milliseconds that a command prints for a network.

    Args:
        command: as for `check_command`.
        network: in evaluation mode.
        example: a batch of inputs.
        facts: "arch" and "json".
        timeout_s: after that the command and what it has started are ended.

    Raises: SettingError saying what the command did instead.
    """
    words = check_command(command)
    with tempfile.TemporaryDirectory(prefix="foretell-latency-") as folder:
        values = {"arch": str(facts["arch"]), "json": json.dumps(facts["json"], default=str)}
        for kind in FILES:
            if any(f"{{{kind}}}" in word for word in words):
                file = Path(folder) / f"network.{kind}"
                _export(network, example, file)
                values[kind] = str(file)
        filled = [_PLACE.sub(lambda place: values[place[1]], word) for word in words]
        out = _output(filled, timeout_s)
    numbers = _NUMBER.findall(out)
    ms = float(numbers[-1]) if numbers else math.nan
    if not 0 < ms < math.inf:
        raise SettingError(
            f"latency command {words[0]!r}",
            expected="milliseconds, a positive number, as the last that it prints",
            got=repr(out.strip()[-80:]),
        )
    return ms


def _export(network: nn.Module, example: torch.Tensor, file: Path) -> None:
    program = program_of(network, example, any_batch=False)
    pt2 = file.suffix == ".pt2"
    file.write_bytes(pt2_of(program, {}) if pt2 else onnx_of(program, "output", {})[0])


def _output(words: list[str], timeout_s: float) -> str:
    """What a command prints; it runs in a process group of its own, which ends with it."""
    name = f"latency command {words[0]!r}"
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise SettingError(name, expected="a program", got=str(error)) from error
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise SettingError(name, got=f"no answer within {timeout_s:g} s") from None
    finally:
        if process.poll() is None:
            _end(process)
    if process.returncode:
        last = (err.strip() or out.strip()).splitlines()[-1:]
        said = f": {last[0][:200]}" if last else ""
        raise SettingError(name, got=f"exit status {process.returncode}{said}")
    return out


def _end(process: subprocess.Popen[str]) -> None:
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()
