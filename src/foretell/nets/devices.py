"""Where networks run."""

from __future__ import annotations

import torch

from foretell.errors import SettingError


def pick_device(name: str) -> torch.device:
    """The device of a recipe; "auto" is CUDA where torch sees a device, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SettingError(
            "device",
            expected="a device that torch has here",
            got=f"{name!r} ({str(error).splitlines()[0]})",
            hint="use 'auto' or 'cpu'",
        ) from error
    return device
