from __future__ import annotations

import pytest

from foretell.errors import SettingError
from foretell.nets.devices import pick_device


def test_devices():
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type in ("cpu", "cuda")
    for name in ("tpu", "cuda:99", "cpuu"):
        with pytest.raises(SettingError, match=f"device: .*got '{name}'"):
            pick_device(name)
