"""Run every benchmark of this folder, one after the other; `perf/run.py gcn search` runs some.

Each prints its figures beside the bound or the peer that it is measured against.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def main() -> int:
    chosen = sys.argv[1:] or sorted(p.stem[6:] for p in FOLDER.glob("bench_*.py"))
    failed = []
    for name in chosen:
        print(f"\n=== {name} " + "=" * (90 - len(name)), flush=True)
        start = time.perf_counter()
        code = subprocess.run([sys.executable, str(FOLDER / f"bench_{name}.py")]).returncode
        print(f"--- {time.perf_counter() - start:.0f} s", flush=True)
        if code:
            failed.append(name)
    if failed:
        print("failed:", ", ".join(failed))
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
