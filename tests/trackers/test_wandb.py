"""The files that `wandb sync` uploads hold every trial, once."""

from __future__ import annotations

import json
import struct

from foretell.trackers.wandb import WandB


def records(path):
    """Records of an offline file: a log of blocks of 32 KiB, 7 bytes of header a chunk."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, part = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        part += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(part)
            part = b""


def test_read_back(tmp_path, tracked, journal, monkeypatch):
    for name in ("WANDB_MODE", "WANDB_PROJECT", "WANDB_ENTITY"):
        monkeypatch.delenv(name, raising=False)
    watcher = tracked(lambda: WandB(tmp_path / "my-run"))
    runs = tmp_path / "my-run" / "wandb"
    (runs / "logged" / "2").unlink()  # killed before the last one was known to be whole
    tracked(lambda: WandB(tmp_path / "my-run"), live_from=3)
    files = {path.stem: path for path in runs.glob("offline-run-*/*.wandb")}
    assert len(files) == len(list(runs.glob("offline-run-*"))) == 3
    assert sorted(files) == [f"run-{watcher.key}-{i}" for i in range(3)]

    found = list(records(files[f"run-{watcher.key}-0"]))
    (run,) = [one.run for one in found if one.HasField("run")]
    assert (run.project, run.run_group, run.display_name) == ("foretell", "my-run", "my-run-0")
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert {"depth": 1, "op_0": "skip", "rate": 0.2}.items() <= config.items()
    lines = [
        {(item.key or item.nested_key[0]): json.loads(item.value_json) for item in one.history.item}
        for one in found
        if one.HasField("history")
    ]
    assert [(line["_step"], line.get("val_acc")) for line in lines] == [
        (1, 0.25), (2, None), (3, 0.75),
    ]  # fmt: skip
    failed = records(files[f"run-{watcher.key}-1"])
    assert [one.exit.exit_code for one in failed if one.HasField("exit")] == [1]
