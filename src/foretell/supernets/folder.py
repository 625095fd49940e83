"""A search by shared weights in a folder: settings, states, records, and beside it random search.

`search.json` says what is searched, `states/` has the supernets, `records.jsonl` a line an epoch,
`trials.jsonl` a line each network that was trained alone, `result.json` what was found. The same
call continues where it stopped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from foretell import supernets
from foretell._files import write_text
from foretell._rng import derive, stream
from foretell._version import __version__
from foretell.errors import RunError
from foretell.evaluators.trainer import Trainer
from foretell.spaces.base import Space
from foretell.supernets.alarm import alarm
from foretell.supernets.loop import Run
from foretell.supernets.memory import advice
from foretell.supernets.records import Record, weighted
from foretell.supernets.search import SupernetSearch
from foretell.training.data import Data
from foretell.training.recipe import Recipe

Say = Callable[[str], None]
FILE = "search.json"


def search_in(
    folder: str | Path,
    space: Space,
    data: Data,
    method: str,
    *,
    settings: Mapping[str, Any] | None = None,
    epochs: int | None = None,
    seed: int = 0,
    device: str = "auto",
    measure: int | None = None,
    train: int = 0,
    rival: bool = True,
    say: Say | None = None,
) -> dict[str, Any]:
    """Search, choose, train what was chosen, and as long search at random; or go on with it.

    Args:
        folder: of the search; made if absent.
        space: with a supernet.
        data: what to learn.
        method: a catalog name, "few-shot:NAME" too.
        settings: of the method.
        epochs: of the supernet; None: those of the method.
        seed: of everything random.
        device: "auto", "cpu", "cuda", ...
        measure: epochs between two measurements of curvature; None: about ten of them.
        train: epochs that the chosen network, and those of random search, are trained alone; 0
            for not at all.
        rival: whether random search has as many seconds as the search.
        say: told a line of progress.

    Returns: what `result.json` has.

    Raises: RunError where the folder has another search.
    """
    folder, say = Path(folder), say or (lambda text: None)
    search = supernets.get(
        method, space=space, settings=settings, epochs=epochs, random_state=seed, device=device,
        folder=folder / "states",
    )  # fmt: skip
    total = search.length
    search.measure = every = max(1, total // 10) if measure is None else measure
    about = {
        "foretell": __version__, "search": "supernet", "method": method,
        "settings": json.loads(json.dumps(dict(settings or {}))), "parts": repr(search.method),
        "space": space.name, "data": data.describe()["name"], "digest": data.digest,
        "seed": seed, "epochs": total, "measure": every, "train": train,
    }  # fmt: skip
    _claim(folder, about)
    say(_need(search, data, total))
    book = _Records(folder / "records.jsonl", total, say)
    search.fit(data, on_record=book)
    book.whole(search.history_)
    seconds = sum(run.spent_s for _, run in search.runs_)
    best = search.best_
    runs = [run for member, run in search.runs_ if member.chooses]
    mixture = runs[0].mixture
    taken = mixture.weights(best[None])[0] * weighted(runs[0].net, mixture)
    told = alarm(runs[-1].history, int(taken.sum()))
    result: dict[str, Any] = {
        **about, "seconds": seconds, "best": search.space_.to_str(best[None])[0],
        "row": best.tolist(), "ranking": search.space_.to_str(search.ranking_),
        "inherited": search.score(search.ranking_[:50]).round(6).tolist(),
        "alarm": told._asdict(), "warnings": search.warnings_,
        "sites": [[site.name, *site.options] for site in mixture.sites],
    }  # fmt: skip
    if train:
        result |= _alone(folder, search, data, train, seconds if rival else 0.0, device, say)
    write_text(folder / "result.json", json.dumps(result, indent=1))
    return result


def _claim(folder: Path, about: Mapping[str, Any]) -> None:
    path = folder / FILE
    if path.exists():
        try:
            old = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise RunError(f"cannot read {path}: {error}", hint="take another --out") from error
        differ = [k for k in about if k not in ("foretell",) and old.get(k) != about[k]]
        if differ:
            k = differ[0]
            raise RunError(
                f"{folder} has another search", expected=f"{k} {old.get(k)!r}", got=repr(about[k]),
                hint="take another --out, or the settings that it was begun with",
            )  # fmt: skip
        return
    if folder.exists() and any(folder.iterdir()):
        raise RunError(f"{folder} is not empty and no search", hint="take another --out")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(about, indent=1))


def _need(search: SupernetSearch, data: Data, epochs: int) -> str:
    """What the first supernet needs of memory."""
    space = search.space.with_io(data.input_shape, data.n_outputs)
    return advice(Run(space, search.method, data, 0, epochs=epochs, device=search.device))


class _Records:
    """One line an epoch, and what is said meanwhile."""

    def __init__(self, path: Path, epochs: int, say: Say) -> None:
        self.path, self.epochs, self.say = path, epochs, say

    def __call__(self, name: str, record: Record) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"supernet": name, **record}) + "\n")
        done = record["epoch"] + 1
        left = record["seconds"] / done * (self.epochs - done)
        mixture = record.get("val_mixture")
        parts = [f"{name}: epoch {done} of {self.epochs}", f"loss {record['train_loss']:.3f}"]
        parts += [f"mixture {mixture:.1%}"] if mixture is not None else []
        parts += [f"chosen alone {record['val_discrete']:.1%}",
                  f"identities {record['skip_share']:.0%}", f"{left:.0f} s left"]  # fmt: skip
        self.say(", ".join(parts))

    def whole(self, history: list[Record]) -> None:
        """All lines once, in order: a search that was continued has written some of them twice."""
        write_text(self.path, "".join(json.dumps(record) + "\n" for record in history))


def _alone(
    folder: Path, search: SupernetSearch, data: Data, epochs: int, seconds: float, device: str,
    say: Say,
) -> dict[str, Any]:  # fmt: skip
    """The chosen network trained alone, and random ones for as long as the search took."""
    trainer = Trainer(search.space, data, Recipe(epochs=epochs, device=device))
    path = folder / "trials.jsonl"
    known = {}
    if path.exists():
        lines = path.read_text().splitlines()
        known = {one["key"]: one for one in map(json.loads, filter(None, lines))}

    def trial(x: Any, kind: str) -> dict[str, Any]:
        key = f"{kind}:{search.space_.to_str(x[None])[0]}"
        if key not in known:
            weights = folder / f"{kind}.safetensors"
            start = time.perf_counter()
            got = trainer.evaluate(x, derive(search.random_state, "alone"), weights=weights)
            test = {} if got.error else trainer.test(x, weights)
            known[key] = {
                "key": key, "kind": kind, "error": got.error, **got.metrics, **test,
                "seconds": time.perf_counter() - start,
            }  # fmt: skip
            write_text(path, "".join(json.dumps(one) + "\n" for one in known.values()))
        found: dict[str, Any] = known[key]
        return found

    say(f"training the chosen network for {epochs} epochs")
    mine = trial(search.best_, "chosen")
    others: list[dict[str, Any]] = []
    rng = stream(search.random_state, "rival")
    while seconds and sum(one["seconds"] for one in others) < seconds:
        others.append(trial(search.space_.sample(1, rng)[0], "random"))
        done = sum(one["seconds"] for one in others)
        say(f"random search: {len(others)} networks in {done:.0f} of {seconds:.0f} s")
    good = [one for one in others if not one["error"]]
    best = max(good, key=lambda one: one.get(trainer.objective, -np.inf), default=None)
    return {
        "chosen": mine, "random": best, "random_networks": len(others),
        "objective": trainer.objective,
    }  # fmt: skip
