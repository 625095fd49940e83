"""Folders of runs and studies, winners and tables, damaged by hand in every way we know of.

Each is read, reported or continued as its command would. Bound: whatever a file says, the answer is
the right thing or one line (`ForetellError`); no traceback, no hang.

    python perf/fuzz.py --n 2000 --seed 0
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from foretell import NAS, Table, report
from foretell.errors import ForetellError
from foretell.studies.predictors import run_predictors
from foretell.studies.searches import run_searches
from foretell.tables.convert import convert
from foretell.winner.export import to_pt2
from foretell.winner.predict import predict

LIMIT_S = 300  # for one answer
SETTINGS: dict[str, Any] = {
    "space": "tabular",
    "workers": 0,
    "n_train": 4,
    "top_k": 2,
    "epochs": 1,
    "predictor": "rf",
    "replicates": 1,
    "compare_random": True,
    "recipe": {"batch_size": 64},
}
DEEP = "[" * 20_000 + "]" * 20_000
VALUES: list[Any] = [
    *(None, True, "", "x", "NaN", "\ud800", "-1", 0, 1, -1, 3.5, 1e308, 10**400, -(10**20), [], {}),
    *([None], ["x"], [[1]], [1, "x"], {"a": 1}, {"": None}, [1e308] * 3, "\x1b[31mred", "../../x"),
]

Rng = np.random.Generator
Kind = Callable[[Path], object]


# -- what can be damaged ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Good:
    """Sound folders, and what is done with copies of them."""

    here: Path
    kinds: dict[str, tuple[str, Kind]] = field(default_factory=dict)

    @classmethod
    def make(cls, here: Path) -> Good:
        """All of them, in a folder."""
        rng = np.random.default_rng(0)
        X = rng.normal(size=(80, 3))
        rows = [f"{a:.4f},{b:.4f},{c:.4f},{'xy'[int(a * b > c)]}" for a, b, c in X]
        data = here / "data.csv"
        data.write_text("\n".join(["a,b,c,kind", *rows]) + "\n")
        NAS(**SETTINGS, out=here / "run").fit(data)
        shutil.copytree(here / "run", here / "half")
        lines = (here / "half" / "trials.jsonl").read_bytes().splitlines(keepends=True)
        cut = 1 + next(i for i, line in enumerate(lines) if b'"id":4' in line)
        (here / "half" / "trials.jsonl").write_bytes(b"".join(lines[:cut]))
        shutil.rmtree(here / "half" / "best")
        (here / "table").mkdir()
        table = _table(here / "table" / "table.csv")
        for name in ("predictors", "searches"):
            _study(name, table, here / name)
        shutil.copytree(here / "run" / "best", here / "best")
        convert(str(table), here / "table" / "table.parquet", space=_space())

        def again(folder: Path) -> None:
            NAS(**SETTINGS, out=folder).fit(data)

        def predicted(folder: Path) -> None:
            predict(folder, data)
            predict(folder, data, code=False)

        kinds: dict[str, tuple[str, Kind]] = {
            "report": ("run", report.write),
            "report half": ("half", report.write),
            "continue": ("run", again),
            "continue half": ("half", again),
            "report study": ("predictors", report.write),
            "continue predictors": ("predictors", lambda one: _study("predictors", table, one)),
            "continue searches": ("searches", lambda one: _study("searches", table, one)),
            "predict": ("best", predicted),
            "export": ("best", lambda one: to_pt2(one, one / "m.pt2")),
            "table": ("table", _read_table),
        }
        return cls(here, kinds)


def _space() -> Any:
    from foretell import spaces

    return spaces.get("nb201")


def _table(path: Path) -> Path:
    space = _space()
    X = space.sample(60, rng=0)
    value = 90 + (X == 3).sum(axis=1)
    lines = [
        f"{arch},{v:.2f},{v - 1:.2f},{10 * v:.1f}"
        for arch, v in zip(space.to_str(X), value, strict=True)
    ]
    path.write_text("\n".join(["arch,val_acc,test_acc,train_s", *lines]) + "\n")
    return path


def _study(name: str, table: Path, out: Path) -> None:
    if name == "predictors":
        some = ["n-params", "mean"]
        sizes = [10, 20]
        run_predictors(
            table, "nb201", "val_acc", predictors=some, train_sizes=sizes, seeds=2, out=out
        )
    else:
        some = ["random", "regularized-evolution"]
        run_searches(table, "nb201", "val_acc", strategies=some, budget=10, seeds=2, out=out)


def _read_table(folder: Path) -> None:
    for name in ("table.csv", "table.parquet"):
        with contextlib.suppress(ForetellError):
            table = Table.open(folder / name, space=_space() if name.endswith("csv") else None)
            table.query(table.X[:3], "val_acc")
        convert(str(folder / name), folder / f"{name}.new.parquet", space=_space())


# -- how it is damaged -----------------------------------------------------------------------------


def damage(folder: Path, rng: Rng) -> str:
    """Damage one file of a folder; what was done."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    path = files[rng.integers(len(files))]
    ways: list[Callable[[Path, Rng], None]] = [_remove, _cut, _flip, _replace, _odd]
    if path.suffix in (".json", ".jsonl"):
        ways += [_in_json] * 8
    if path.suffix in (".csv", ".jsonl", ".md"):
        ways += [_lines] * 4
    if path.suffix == ".csv":
        ways += [_cells] * 4
    way = ways[rng.integers(len(ways))]
    way(path, rng)
    return f"{way.__name__[1:]} {path.relative_to(folder)}"


def _remove(path: Path, rng: Rng) -> None:
    path.unlink()


def _cut(path: Path, rng: Rng) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.integers(len(data) + 1)])


def _flip(path: Path, rng: Rng) -> None:
    data = bytearray(path.read_bytes() or b"0")
    for _ in range(rng.integers(1, 8)):
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    path.write_bytes(bytes(data))


def _replace(path: Path, rng: Rng) -> None:
    texts = ["", "\n", "{}", "[]", "null", "NaN", '"x"', "\x00" * 50, "\ufeff{}", DEEP, "a,b\n1\n"]
    texts += ['{"event":"trial"}\n', '{"format":3}', '{"format":true}', "1" * 5000, "<html>"]
    choice = int(rng.integers(len(texts) + 1))
    path.write_bytes(bytes(range(256)) if choice == len(texts) else texts[choice].encode())


def _odd(path: Path, rng: Rng) -> None:
    """Something else than a file."""
    path.unlink()
    choice = int(rng.integers(4))
    if choice == 0:
        path.mkdir()
    elif choice == 1:
        path.symlink_to(path.name)
    elif choice == 2:
        os.mkfifo(path)
    else:
        path.symlink_to("/nowhere/at/all")


def _lines(path: Path, rng: Rng) -> None:
    lines = path.read_bytes().splitlines(keepends=True) or [b""]
    one, other = rng.integers(len(lines), size=2)
    choice = int(rng.integers(4))
    if choice == 0:
        del lines[one]
    elif choice == 1:
        lines.insert(other, lines[one])
    elif choice == 2:
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines[one] = lines[one].rstrip(b"\n") + lines[other]
    path.write_bytes(b"".join(lines))


def _cells(path: Path, rng: Rng) -> None:
    rows = [line.split(",") for line in path.read_text().splitlines()] or [[""]]
    row = rows[rng.integers(len(rows))]
    texts = ["", "x", "nan", "inf", "-1", "1e999", '"', "1" * 400, "\x00", "\x1b[2J", "=1+1", "0x1"]
    row[rng.integers(len(row))] = texts[rng.integers(len(texts))]
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")


def _in_json(path: Path, rng: Rng) -> None:
    """Another value somewhere, or none, or one more."""
    text = path.read_text()
    lines = text.splitlines() if path.suffix == ".jsonl" else [text]
    at = int(rng.integers(len(lines)))
    tree = [json.loads(lines[at])]  # the whole of it is a place too
    places = list(_places(tree))
    keys = list(dict.fromkeys(key for _, key in places))
    for _ in range(rng.integers(1, 3)):
        # each key as often as others, however many rows a list has
        key = keys[rng.integers(len(keys))]
        some = [(parent, one) for parent, one in places if one == key]
        parent, key = some[rng.integers(len(some))]
        choice = int(rng.integers(10))
        with contextlib.suppress(LookupError):  # what held it is gone
            if choice == 0:
                del parent[key]
            elif choice == 1 and isinstance(parent, list):
                parent.append(parent[key])
            elif choice == 2:
                parent[key] = "DEEP"
            else:
                parent[key] = VALUES[rng.integers(len(VALUES))]
    deep = DEEP if rng.random() < 0.5 else "Infinity"
    lines[at] = json.dumps(tree[0]).replace('"DEEP"', deep) if tree else ""
    path.write_text("\n".join(lines) + "\n")


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in pairs:
        yield tree, key
        if isinstance(value, (dict, list)):
            yield from _places(value)


# -- trying ----------------------------------------------------------------------------------------


class _TooLongError(BaseException):
    pass


def _late(*_: object) -> None:
    raise _TooLongError


def attempt(good: Good, kind: str, seed: int, where: Path) -> tuple[str, str]:
    """Damage a copy and use it; what was done, and the traceback if there was one."""
    rng = np.random.default_rng([seed, *kind.encode()])
    source, use = good.kinds[kind]
    folder = where / "copy"
    shutil.copytree(good.here / source, folder)
    did = ", ".join(_tried_damage(folder, rng) for _ in range(rng.choice([1, 1, 2, 3])))
    before = signal.signal(signal.SIGALRM, _late)
    signal.alarm(LIMIT_S)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            use(folder)
    except ForetellError as error:
        text = str(error)
        bad = "\n" in text.strip() or len(text) > 3000
        return did, f"no one line: {text[:500]}" if bad else ""
    except _TooLongError:
        return did, f"took longer than {LIMIT_S} s\n{traceback.format_exc()}"
    except BaseException:
        return did, traceback.format_exc()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        shutil.rmtree(folder)
    return did, ""


def _tried_damage(folder: Path, rng: Rng) -> str:
    try:
        return damage(folder, rng)
    except (ValueError, RecursionError):  # no JSON any more, or too deep
        return "nothing"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default="", help="some of them, with commas")
    args = parser.parse_args()
    tried, bad, began = Counter[str](), Counter[str](), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        good = Good.make(Path(name))
        kinds = args.kinds.split(",") if args.kinds else list(good.kinds)
        for i in range(args.n):
            kind = kinds[i % len(kinds)]
            did, wrong = attempt(good, kind, args.seed + i, Path(name))
            tried[kind] += 1
            if wrong:
                bad[kind] += 1
                print(f"--- {kind}, seed {args.seed + i}: {did}\n{wrong}", flush=True)
    print(f"{args.n} damaged folders in {time.monotonic() - began:.0f} s: {bad.total()} tracebacks")
    for kind, n in tried.items():
        print(f"{kind:<22}{n:5d} tried, {bad[kind]} failed")
    return bad.total() > 0


if __name__ == "__main__":
    sys.exit(main())
