"""A thousand real trainings of tiny networks in one run: memory, open files, shared memory.

Bounds, by a line fitted to all samples from trial 200 to the prediction: the driver, which
remembers every trial, grows by at most 10 kB a trial, a worker by at most 3 kB; open files (but for
the one that a worker is writing) and names in shared memory stay as they are.

    python perf/soak.py [TRIALS]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from torch import nn

from foretell import NAS, Space, choice
from foretell.runs.progress import Progress

EVERY, TOP = 50, 50
BOUNDS = {"driver": 10.0, "workers": 3.0}  # kB a trial; of a worker


class Tiny(Space):
    """Up to three hidden layers of few units."""

    depth = choice([1, 2, 3])
    width = choice([4, 5, 6, 7, 8, 10, 12, 14], repeat="depth")
    act = choice([nn.ReLU, nn.Tanh, nn.GELU], repeat="depth")

    def build(self, x, input_shape, n_outputs):  # type: ignore[no-untyped-def]
        a = self.decode(x)
        layers, size = [], input_shape[0]
        for width, act in zip(a["width"], a["act"], strict=True):
            layers += [nn.Linear(size, width), act()]
            size = width
        return nn.Sequential(*layers, nn.Linear(size, n_outputs))


class Watch:
    """Looks at all processes of the run every so many trials."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, ...]] = []
        self.start = time.perf_counter()
        print("trials  seconds  driver MB  workers MB each      files  of workers  shm", flush=True)

    def __call__(self, progress: Progress) -> None:
        if progress.done // EVERY <= len(self.rows) - 1:
            return
        me = os.getpid()
        workers = [pid for pid in children(me) if b"popen_loky" in read(pid, "cmdline")]
        sizes = [rss_mb(pid) for pid in workers]
        files = [len(os.listdir(f"/proc/{pid}/fd")) for pid in [me, *workers]]
        row = (
            progress.done,
            time.perf_counter() - self.start,
            rss_mb(me),
            float(np.mean(sizes)) if sizes else np.nan,
            files[0],
            sum(files[1:]),
            sum(f"-{me}-" in item.name for item in Path("/dev/shm").iterdir()),
        )
        self.rows.append(row)
        each = " ".join(f"{size:.1f}" for size in sizes)
        print(
            f"{row[0]:6.0f}  {row[1]:7.1f}  {row[2]:9.1f}  {each:<19}  {row[4]:5.0f}  "
            f"{row[5]:10.0f}  {row[6]:3.0f}",
            flush=True,
        )


def read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:  # it has just ended
        return b""


def children(of: int) -> list[int]:
    """Processes whose parent is `of`."""
    stats = {int(p.name): read(int(p.name), "stat") for p in Path("/proc").glob("[0-9]*")}
    return [
        pid for pid, stat in stats.items() if stat.rpartition(b")")[2].split()[1:2] == [b"%d" % of]
    ]


def rss_mb(pid: int) -> float:
    """Resident memory."""
    pages = read(pid, "statm").split()
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if pages else np.nan


def main() -> int:
    trials = int(sys.argv[1]) if sys.argv[1:] else 1000
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 6)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder:
        nas = NAS(
            space=Tiny(), n_train=trials - TOP, top_k=TOP, epochs=1, workers=2, predictor="rf",
            out=Path(folder) / "run",
        )  # fmt: skip
        nas.fit((X, y), on_event=watch)
    done, seconds, driver, workers, files, theirs, shm = np.array(watch.rows).T
    late = (done >= 200) & (done < trials - TOP)  # then processes and a forest are fitted
    met = True
    for name, values in (("driver", driver), ("workers", workers)):
        slope = 1e3 * np.polyfit(done[late], values[late], 1)[0]
        met &= slope <= BOUNDS[name]
        print(f"{name}: {slope:+.2f} kB a trial (bound {BOUNDS[name]:g})")
    pace = [np.interp(b, done, seconds) - np.interp(a, done, seconds) for a, b in
            ((100, 200), (trials - TOP - 100, trials - TOP))]  # fmt: skip
    print(f"seconds of the second hundred {pace[0]:.1f}, of the last one {pace[1]:.1f}")
    for name, values in (("files", files), ("files of workers", theirs), ("shm", shm)):
        met &= values[late].max() - values[late].min() <= 2 * (name == "files of workers")
        print(f"{name}: {values[late].min():.0f} to {values[late].max():.0f}")
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
