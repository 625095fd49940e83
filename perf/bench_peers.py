"""foretell's searches beside those of Optuna, Syne Tune and NePS: one table, budget and seeds.

    make perf-peers                # sets the peers up in .venv-peers, and runs this
    python perf/bench_peers.py --seeds 20 --peers "optuna tpe;syne-tune bore" --ours foresight

NAS-Bench-201 as six decisions of five options; a search sees `cifar10_val_12ep`, each different row
costs one network. Peers have the settings of their makers (evolution also a tuned one), do not know
that rows may compute the same, and pay nothing for a row that they ask for again. A search ends at
the best of the table. Slow peers have fewer seeds, which the table says. Finished searches are kept
in `--out`, so the same command goes on. Bound: the best of foretell is ahead of every peer after
50, 100 and 200 networks, and the 95 % intervals do not overlap.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import foretell as ft
from foretell.metrics import mean_interval

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("FORETELL_DATA", ROOT.parent / "shared" / "data"))
COLUMN = "cifar10_val_12ep"
AT = (50, 100, 200)
PEERS = {  # and the seeds that their minutes allow
    "optuna tpe": 20,
    "optuna tpe, univariate": 20,
    "optuna gp": 10,
    "syne-tune evolution": 20,
    "syne-tune evolution, 20 and 10": 20,
    "syne-tune bore": 10,
    "syne-tune cqr": 5,
    "neps evolution": 20,
    "neps bo": 3,
}


def ours(table: ft.Table, name: str, seeds: list[int]) -> Iterator[dict[str, Any]]:
    """Searches of foretell, to the best of the table: their values and processor seconds."""
    top = float(np.nanmax(table.column(COLUMN)))
    for seed in seeds:
        search = ft.Search(table.space, ft.strategies.scaled(name, AT[-1]), seed=seed)
        start = time.process_time()
        while search.n_rows < AT[-1] and top not in search.values:
            left = AT[-1] - search.n_rows
            X = search.ask(min(search.round_size or left, left))
            search.tell(X, table.query(X, COLUMN))
        seconds = time.process_time() - start
        yield {"seed": seed, "values": search.values.tolist(), "seconds": seconds}


def theirs(python: Path, values: Path, name: str, seeds: list[int]) -> Iterator[dict[str, Any]]:
    """Searches of a peer, in a process of its own."""
    script, some = str(ROOT / "perf" / "peers.py"), ",".join(map(str, seeds))
    command = [str(python), script, name, str(values), some, str(AT[-1])]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                yield json.loads(line)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def _each(one: dict[str, Any]) -> float:
    """Seconds of a search for each network."""
    return float(one["seconds"]) / len(one["values"])


def main() -> int:
    """Run what is missing, print, and compare with the bound."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", type=Path, default=ROOT / ".venv-peers/bin/python")
    parser.add_argument("--ours", default="foresight,regularized-evolution,random")
    parser.add_argument("--peers", default="", help="separated by ';'; all")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "peers")
    args = parser.parse_args()
    path = DATA / "nb201.csv.gz"
    if not path.exists() or not args.python.exists():
        print(f"skipped: needs {path} (FORETELL_DATA) and {args.python} (make perf-peers)")
        return 0
    space = ft.spaces.get("nb201")
    table = ft.Table.open(path, space=space)
    args.out.mkdir(parents=True, exist_ok=True)
    values, X = args.out / "values.npz", np.concatenate(list(space.enumerate()))
    array = np.full(tuple(space.n_options), np.nan)
    array[tuple(X.T)] = table.query(X, COLUMN)
    np.savez(values, values=array)
    journal = args.out / "searches.jsonl"
    known: dict[tuple[str, int], list[float]] = {}
    spent: dict[str, list[float]] = {}
    for line in journal.read_text().splitlines() if journal.exists() else []:
        one = json.loads(line)
        known[one["name"], one["seed"]] = one["values"]
        spent.setdefault(one["name"], []).append(_each(one))
    mine = args.ours.split(",")
    names = args.peers.split(";") if args.peers else list(PEERS)
    print(f"{COLUMN}, best after so many networks, mean ± half of the 95 % interval")
    print(f"{'':<32}{'seeds':>6}" + "".join(f"{n:>18}" for n in AT) + "   s a network", flush=True)
    best: dict[str, np.ndarray] = {}
    for name in [*mine, *names]:
        seeds = range(min(args.seeds, PEERS.get(name, args.seeds)))
        if missing := [seed for seed in seeds if (name, seed) not in known]:
            run = (
                ours(table, name, missing)
                if name in mine
                else theirs(args.python, values, name, missing)
            )
            for one in run:
                with journal.open("a") as file:
                    file.write(json.dumps({"name": name, **one}) + "\n")
                known[name, one["seed"]] = one["values"]
                spent.setdefault(name, []).append(_each(one))
        rows = []
        for seed in seeds:
            curve = np.maximum.accumulate(known[name, seed])
            rows.append([curve[min(n, len(curve)) - 1] for n in AT])
        best[name] = np.array(rows)
        cells = ["{:.3f} ± {:.3f}".format(*mean_interval(column)) for column in best[name].T]
        print(
            f"{name:<32}{len(rows):>6}"
            + "".join(f"{cell:>18}" for cell in cells)
            + f"{np.mean(spent[name]):>14.3f}",
            flush=True,
        )
    bad = 0
    first = max(mine, key=lambda name: float(best[name][:, 1].mean()))
    print(f"\n{first} ahead of, with intervals apart:")
    for name in names:
        words = []
        for i, n in enumerate(AT):
            (a, left), (b, right) = (
                mean_interval(best[first][:, i]),
                mean_interval(best[name][:, i]),
            )
            apart = a - left > b + right
            words.append(f"{n}: {'yes' if apart else 'ahead' if a > b else 'no'} {a - b:+.3f}")
            bad += not apart
        print(f"  {name:<32}{', '.join(words)}")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
