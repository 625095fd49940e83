"""Own spaces whose options are numbers: `auto` and `gp` beside scikit-learn and parameters alone.

Each table is a space of choices from its columns, without any network. For seed s,
`p = default_rng(s).permutation(N)`: the first 2,000 rows are the test rows, the next n the training
rows; of a smaller table the last n are the training rows, all others the test rows. Score: Kendall
tau-b on the test rows, mean and standard error over the seeds. Beside them scikit-learn's Gaussian
process (constant x RBF with a length per feature + dot product + white noise; `sk-iso`: constant x
RBF with one length + white noise; both on normal scores of the targets) and ExtraTrees (300 trees),
all on standardised logarithms of the numbers and one bit for each word, and the table's own count
of parameters. Exit code 1 where one of ours is below
one of these by more than a standard error of the difference, paired by seed.

    python perf/bench_numbers.py [--tables ofa,cnas|others] [--sizes 20,50,172] [--seeds 0,1,2,3,4]
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.stats import norm, rankdata
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

import foretell as ft

FOLDER = Path(
    os.environ.get("FORETELL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
Row = dict[str, Any]
Loaded = tuple[Any, np.ndarray, np.ndarray, np.ndarray]  # space, X, y, parameters (n,) or NaN


def no_network(decisions: Mapping[str, Any], input_shape: tuple[int, ...], n_outputs: int) -> Any:
    """Networks of a published table cannot be built here."""
    raise ModuleNotFoundError("the networks of a table are not here")


def read(file: str, keep: Callable[[Row], bool] = lambda row: True) -> list[Row]:
    """The rows of a table."""
    with gzip.open(FOLDER / file, "rt", newline="") as lines:
        return [row for row in csv.DictReader(lines) if keep(row)]


def listed(text: str) -> list[int]:
    """Numbers between blanks."""
    return [int(word) for word in text.split()]


def indexed(name: str, values: Iterable[Any]) -> Row:
    """name_0, name_1, ..."""
    return {f"{name}_{i}": value for i, value in enumerate(values)}


def loaded(choices: Mapping[str, Any], taken: list[Row], y: list[float], size: list[Any]) -> Loaded:
    """A space, and its rows that take these options; repeated choices have an index."""
    space = ft.Space.from_choices(choices, build=no_network)
    X = np.zeros((len(taken), space.d), dtype=np.int64)
    for j, column in enumerate(space.choices):
        at = {str(option): i for i, option in enumerate(column.options)}
        X[:, j] = [at[str(row[column.name])] if column.name in row else 0 for row in taken]
    params = np.array([float(value) if value not in ("", None) else np.nan for value in size])
    return space, space.canonical_form(space.check(X)), np.array(y), params


def options(taken: list[Row], name: str) -> list[Any]:
    """All that a decision, or one of its repetitions, takes somewhere."""
    return sorted({v for row in taken for k, v in row.items() if k.rstrip("0123456789") == name})


def ofa(supernet: str, spread: bool = True) -> Loaded:
    """Sub-networks of a MobileNetV3 supernet: all columns flat."""
    rows = read("ofa_subnets.csv.gz", lambda row: row["supernet"] == supernet)
    rows = [row for row in rows if not spread or "memory-optimized" in row["source"]]
    taken = [
        {
            "resolution": int(row["resolution"]),
            **indexed("d", listed(row["d"])),
            **indexed("ks", listed(row["ks"])),
            **indexed("e", map(float, row["e"].split())),
        }
        for row in rows
    ]
    choices = {
        "resolution": options(taken, "resolution"),
        "d": ft.choice(options(taken, "d_"), repeat=5),
        "ks": ft.choice(options(taken, "ks_"), repeat=20),
        "e": ft.choice(options(taken, "e_"), repeat=20),
    }
    return loaded(choices, taken, [float(r["top1"]) for r in rows], [r["params"] for r in rows])


def cnas() -> Loaded:
    """The same kind, with what does not apply left out: a depth for each stage says how many."""
    rows, taken = read("cnas_cifar10_mbv3.csv.gz"), []
    for row in rows:
        kernels, expands = iter(listed(row["ks"])), iter(listed(row["e"]))
        one: Row = {"resolution": int(row["resolution"])}
        for stage, depth in enumerate(listed(row["d"]), start=1):
            one[f"d{stage}"] = depth
            for i in range(depth):
                one[f"ks{stage}_{i}"], one[f"e{stage}_{i}"] = next(kernels), next(expands)
        taken.append(one)
    choices: Row = {"resolution": options(taken, "resolution")}
    for stage in range(1, 6):
        choices[f"d{stage}"] = [2, 3, 4]
        choices[f"ks{stage}"] = ft.choice([3, 5, 7], repeat=f"d{stage}")
        choices[f"e{stage}"] = ft.choice([3, 4, 6], repeat=f"d{stage}")
    return loaded(choices, taken, [float(r["top1"]) for r in rows], [r["params_M"] for r in rows])


def hwgpt(embed_dim: str | None) -> Loaded:
    """Decoders, of one width or of all; the perplexity's sign is turned round."""
    rows = read("hwgpt_s.csv.gz", lambda row: embed_dim in (None, row["embed_dim"]))
    taken = [
        {
            **{name: int(row[name]) for name in ("embed_dim", "n_layer", "bias")},
            **indexed("n_head", listed(row["n_head"])),
            **indexed("mlp_ratio", listed(row["mlp_ratio"])),
        }
        for row in rows
    ]
    choices = {
        **{name: options(taken, name) for name in ("embed_dim", "n_layer", "bias")},
        "n_head": ft.choice([4, 8, 12], repeat="n_layer"),
        "mlp_ratio": ft.choice([2, 3, 4], repeat="n_layer"),
    }
    y = [-float(row["perplexity"]) for row in rows]
    return loaded(choices, taken, y, [row["params"] for row in rows])


def lts(name: str) -> Loaded:
    """Language models: a width for each layer, hardly two alike."""
    rows = read("lts_transformers.csv.gz", lambda row: row["set"] == name)
    once = ("n_layer", "d_model", "d_embed", "div_val")
    taken = [
        {
            **{key: int(row[key]) for key in once},
            **indexed("n_head", listed(row["n_head"])),
            **indexed("d_inner", listed(row["d_inner"])),
        }
        for row in rows
    ]
    choices = {
        **{key: options(taken, key) for key in once},
        "n_head": ft.choice(options(taken, "n_head_"), repeat="n_layer"),
        "d_inner": ft.choice(options(taken, "d_inner_"), repeat="n_layer"),
    }
    y = [-float(row["valid_ppl"]) for row in rows]
    return loaded(choices, taken, y, [row["params_nonembed"] for row in rows])


def flexibert() -> Loaded:
    """Encoders: an operation (a word) and three numbers for each layer."""
    rows, taken = read("flexibert_glue.csv.gz"), []
    for row in rows:
        one: Row = {"hidden_size": int(row["hidden_size"]), "layers": int(row["layers"])}
        for i, layer in enumerate(row["arch"].split("|")):
            op, heads, feed = layer.split(":")
            inner, _, stacked = feed.partition("x")
            one |= {f"op_{i}": op, f"heads_{i}": heads, f"inner_{i}": inner}
            one[f"stacked_{i}"] = int(stacked)
        taken.append(one)
    choices = {
        "hidden_size": [128, 256],
        "layers": [2, 4],
        **{
            name: ft.choice(options(taken, f"{name}_"), repeat="layers")
            for name in ("op", "heads", "inner", "stacked")
        },
    }
    y = [float(row["glue"]) for row in rows]
    return loaded(choices, taken, y, [row["number_of_parameters"] for row in rows])


def naap() -> Loaded:
    """Small chains: kernel, width and stride of each layer, and whether it has a skip."""
    rows, taken = read("lc_naap440_cifar10.csv.gz"), []
    for row in rows:
        layers = row["scheme"].split()
        one: Row = {"layers": len(layers)}
        for i, layer in enumerate(layers):
            kernel, width, stride = map(int, re.findall(r"\d+", layer))
            one |= {f"k_{i}": kernel, f"w_{i}": width, f"s_{i}": stride}
            one[f"skip_{i}"] = "yes" if layer.endswith("r") else "no"
        taken.append(one)
    choices = {
        "layers": options(taken, "layers"),
        **{n: ft.choice(options(taken, f"{n}_"), repeat="layers") for n in ("k", "w", "s", "skip")},
    }
    y = [float(row["e90Accuracy"]) for row in rows]
    return loaded(choices, taken, y, [row["NumParams"] for row in rows])


def lstm() -> Loaded:
    """Recurrent networks: how many layers, and how wide."""
    rows = read("lc_lstm_ptb.csv.gz")
    taken = [{name: int(row[name]) for name in ("n_layer", "n_inputs")} for row in rows]
    choices = {name: options(taken, name) for name in taken[0]}
    return loaded(choices, taken, [-float(row["ep_59"]) for row in rows], [None for _ in rows])


TABLES: dict[str, tuple[str, Callable[[], Loaded]]] = {
    "ofa": ("ofa_subnets", partial(ofa, "ofa_mbv3_w1.0")),
    "ofa-all": ("ofa_subnets", partial(ofa, "ofa_mbv3_w1.0", False)),
    "cnas": ("cnas_cifar10_mbv3", cnas),
    "hwgpt": ("hwgpt_s", partial(hwgpt, None)),
    "hwgpt-192": ("hwgpt_s", partial(hwgpt, "192")),
    "hwgpt-384": ("hwgpt_s", partial(hwgpt, "384")),
    "hwgpt-768": ("hwgpt_s", partial(hwgpt, "768")),
    "lts-gpt2-wt103": ("lts_transformers", partial(lts, "GPT2_wt103")),
    "lts-gpt2-lm1b": ("lts_transformers", partial(lts, "GPT2_lm1b")),
    "lts-xl-wt103": ("lts_transformers", partial(lts, "TransXL_wt103")),
    "lts-xl-lm1b": ("lts_transformers", partial(lts, "TransXL_lm1b")),
    "flexibert": ("flexibert_glue", flexibert),
}
OTHERS: dict[str, tuple[str, Callable[[], Loaded]]] = {  # looked at once, when all was set
    "compofa": ("ofa_subnets", partial(ofa, "compofa")),
    "moofa": ("ofa_subnets", partial(ofa, "moofa")),
    **{
        f"moofa-{k}": ("ofa_subnets", partial(ofa, f"moofa_config{k}_imagenette"))
        for k in (1, 2, 3)
    },
    "naap": ("lc_naap440_cifar10", naap),
    "lstm": ("lc_lstm_ptb", lstm),
}


def plain(space: Any, X: np.ndarray) -> np.ndarray:
    """Logarithms of the numbers, the mean where one does not apply; a bit for each word."""
    from foretell.encodings.numbers import numbers_of  # bench_own.py runs older code, without it

    active, columns = space.active(X), []
    for j, choice in enumerate(space.choices):
        found = numbers_of(choice.options)
        if found is None:
            columns += [active[:, j] & (X[:, j] == k) for k in range(len(choice.options))]
            continue
        for number in found:
            logs = np.log(number) if number.min() > 0 else number
            mean = logs[X[active[:, j], j]].mean() if active[:, j].any() else 0.0
            columns.append(np.where(active[:, j], logs[X[:, j]], mean))
    return np.stack(columns, axis=1).astype(np.float64)


def rivals(F: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray, seed: int) -> Any:
    """Predictions of scikit-learn's processes, with a length each and with one, and forest."""
    spread = F[train].std(axis=0)
    scaled = (F - F[train].mean(axis=0)) / np.where(spread > 1e-9, spread, np.inf)
    scores = norm.ppf((rankdata(y[train]) - 0.5) / len(train))
    lengths = ConstantKernel() * RBF(np.ones(F.shape[1])) + DotProduct() + WhiteKernel()
    length = ConstantKernel() * RBF(F.shape[1] ** 0.5) + WhiteKernel()
    models = (
        GaussianProcessRegressor(lengths),
        GaussianProcessRegressor(length),
        ExtraTreesRegressor(300, random_state=seed),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of bounds
        return [model.fit(scaled[train], scores).predict(scaled[test]) for model in models]


def main() -> int:
    """A line for each table and number of results; 1 where one of ours is clearly below."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--predictors", default="auto,gp")
    parser.add_argument("--sizes", default="20,50,172")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    args = parser.parse_args()
    seeds = [int(seed) for seed in args.seeds.split(",")]
    ours = args.predictors.split(",")
    names = [*ours, "sk-gp", "sk-iso", "sk-forest", "params"]
    print(f"{'':15s}{'n':>4s}" + "".join(f"{name:>14s}" for name in names) + "   s of fit")
    below = []
    for table in OTHERS if args.tables == "others" else args.tables.split(","):
        file, load = {**TABLES, **OTHERS}[table]
        if not (FOLDER / f"{file}.csv.gz").exists():
            print(f"{table:15s}skipped: no {file}.csv.gz in {FOLDER} (set FORETELL_DATA)")
            continue
        space, X, y, params = load()
        F = plain(space, X)
        for n in map(int, args.sizes.split(",")):
            taus, fit_s = np.full((len(names), len(seeds)), np.nan), np.zeros(len(ours))
            for j, seed in enumerate(seeds):
                p = np.random.default_rng(seed).permutation(len(X))
                few = len(X) < 2000 + n
                train, test = (p[-n:], p[:-n]) if few else (p[2000 : 2000 + n], p[:2000])
                found = []
                for i, name in enumerate(ours):
                    model = ft.predictors.get(name, space=space, random_state=seed)
                    start = time.process_time()
                    model.fit(X[train], y[train])
                    fit_s[i] += (time.process_time() - start) / len(seeds)
                    found.append(model.predict(X[test]))
                found += rivals(F, y, train, test, seed)
                if np.isfinite(params).all():
                    found.append(params[test])
                for i, prediction in enumerate(found):
                    taus[i, j] = ft.metrics.kendall(y[test], prediction)
            cells = "".join(f"{tau.mean():8.3f}±{error(tau):.3f}" for tau in taus)
            print(f"{table:15s}{n:4d}{cells}   {' '.join(f'{s:.1f}' for s in fit_s)}", flush=True)
            for i, name in enumerate(ours):
                for k in range(len(ours), len(names)):
                    gap = taus[i] - taus[k]
                    # one swapped pair in one seed is a gap of just an error
                    if gap.mean() < -error(gap) - 1e-9:
                        below.append(f"{table}, n = {n}: {name} {gap.mean():+.3f} of {names[k]}")
    print("\n".join(f"BELOW: {line}" for line in below) or "nothing is below")
    return int(bool(below))


def error(values: np.ndarray) -> float:
    """Standard error of the mean."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


if __name__ == "__main__":
    sys.exit(main())
