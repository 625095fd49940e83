"""The same command on real images: a folder from CIFAR-10 with nb201, MNIST with mobile.

Each run is killed with `kill -9` in its middle and continued by the same command: no finished trial
may be lost or trained twice, and the run ends with a model, a report and a test accuracy. Needs the
image files in FORETELL_DATA (default ../shared/data); says so when they are not there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("FORETELL_DATA", ROOT.parent / "shared" / "data"))
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def folder_of_images(target: Path) -> Path:
    """CIFAR-10 as `train/<class>/*.png` and `test/<class>/*.png`."""
    with np.load(DATA / "cifar10_small.npz", allow_pickle=False) as arrays:
        for part in ("train", "test"):
            for i, (x, y) in enumerate(zip(arrays[f"x_{part}"], arrays[f"y_{part}"], strict=True)):
                place = target / part / CLASSES[y]
                place.mkdir(parents=True, exist_ok=True)
                Image.fromarray(x.transpose(1, 2, 0)).save(place / f"{i}.png")
    return target


def finished(out: Path) -> list[int]:
    """Ids of the trials in the journal."""
    journal = out / "trials.jsonl"
    lines = journal.read_text().splitlines() if journal.exists() else []
    events = [json.loads(line) for line in lines if line.endswith("}")]
    return [event["id"] for event in events if event["event"] == "trial"]


def run(name: str, data: Path, space: str, out: Path, *options: str) -> None:
    """Start a run, kill it after some networks, continue it, and look at what it left."""
    command = [sys.executable, "-m", "foretell", "run", "--data", str(data), "--space", space]
    command += ["--out", str(out), "--json", *options]
    start = time.perf_counter()
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(finished(out)) < 2 and first.poll() is None:
        time.sleep(0.2)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    before = finished(out)
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    seconds = time.perf_counter() - start
    after, final = finished(out), json.loads(done.stdout)
    assert after[: len(before)] == before, "a finished trial was lost"
    assert len(set(after)) == len(after) == final["trials"], "a trial was trained twice"
    for file in ("best/model.safetensors", "best/config.json", "best/model.py", "report.html"):
        assert (out / file).stat().st_size > 0
    metrics = {
        key: f"{100 * value:.1f} %" for key, value in final["metrics"].items() if "acc" in key
    }
    print(
        f"{name}: killed after {len(before)} of {len(after)} networks, continued; {seconds:.0f} s; "
        f"{metrics}; {final['params']:,} parameters; {final['arch']}",
        flush=True,
    )


def main() -> None:
    """Both runs."""
    if not DATA.is_dir():
        print(f"no real data in {DATA}: set FORETELL_DATA to a folder that has it")
        return
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        few = ("--train", "4", "--top", "2", "--workers", "2")
        photos = folder_of_images(work / "cifar")
        run("cifar10 folder, nb201", photos, "nb201", work / "a", "--epochs", "1", *few)
        mnist = DATA / "mnist10k.npz"
        run("mnist10k.npz, mobile", mnist, "mobile", work / "b", "--epochs", "1", *few)


if __name__ == "__main__":
    main()
