"""An honest rival of a search: a pretrained network, fine-tuned for as many seconds as it took."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from foretell._console import duration
from foretell._files import write_text
from foretell._rng import derive
from foretell.costs.latency import Latency, alone
from foretell.evaluators.trainer import Trainer
from foretell.nets import pretrained
from foretell.nets.devices import pick_device
from foretell.training import loop
from foretell.training.data.batches import Split
from foretell.typed import Reader, load, plain

_MOST_EPOCHS = 100
_PROBED = 3  # batches that are timed


@dataclass(frozen=True)
class Side:
    """One of the two: what it is, what it reaches, what it costs."""

    name: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    params: int = 0
    latency_ms: float | None = None
    seconds: float = 0.0
    epochs: int = 0


@dataclass(frozen=True)
class RivalRecord:
    """rival.json: the pretrained network and the winner of the search."""

    asked: str = ""
    winner_id: int = -1
    rival: Side = field(default_factory=Side)
    winner: Side = field(default_factory=Side)


def read(path: Path) -> RivalRecord | None:
    """rival.json, if it is there and sound."""
    try:
        raw = load(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (OSError, ValueError):
        return None
    if not isinstance(raw, dict):
        return None
    notes: list[str] = []
    record = Reader(path, notes).record(RivalRecord, raw)
    return None if notes else record


def measure(
    asked: str,
    path: Path,
    trainer: Trainer,
    winner: nn.Module,
    won: Side,
    winner_id: int,
    seed: int,
    seconds: float,
    say: Callable[[str], None],
) -> RivalRecord:
    """Fine-tune the pretrained network and write rival.json; what is there is not done again.

    Args:
        asked: "timm:NAME", see `nets.pretrained.parts`.
        path: of rival.json.
        trainer: of the run.
        winner: the best network of the search, in eval mode.
        won: what is known of it.
        winner_id: its number.
        seed: of the run.
        seconds: that the search took for training, all networks together.
        say: is told what goes on.
    """
    known = read(path)
    if known is not None and (known.asked, known.winner_id) == (asked, winner_id):
        return known
    data, device = trainer.data, pick_device(trainer.recipe.device)
    model = pretrained.build(
        asked, data.input_shape, data.n_outputs, data.mean.tolist(), data.std.tolist()
    )
    per_epoch = _epoch_s(model, trainer, device)
    epochs = min(_MOST_EPOCHS, max(1, int(seconds / per_epoch)))
    recipe = replace(
        trainer.recipe, epochs=epochs, optimiser="adamw", lr=5e-4, weight_decay=0.05,
        early_stop=0, keep="last",
    )  # fmt: skip
    say(f"fine-tunes {asked} for {duration(epochs * per_epoch)}, {epochs} epochs")
    began = time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "rival"))
        loop.fit(model, data, recipe, derive(seed, "rival", "order"), device)
    spent = time.perf_counter() - began
    metrics = {**trainer.validate(model, "val"), **trainer.validate(model, "test")}
    mine = Side(
        asked.partition("@")[0], metrics, _params(model), latency(model, data.input_shape), spent,
        epochs,
    )  # fmt: skip
    theirs = replace(won, params=_params(winner), latency_ms=latency(winner, data.input_shape))
    record = RivalRecord(asked, winner_id, mine, theirs)
    write_text(path, json.dumps(plain(record), indent=2) + "\n")
    return record


def lines(record: RivalRecord, metric: str) -> list[str]:
    """Who won, in words."""
    rival, winner = record.rival, record.winner
    scale, unit = (100, " %") if metric.endswith("acc") else (1, "")

    def one(side: Side) -> str:
        value = side.metrics.get(metric, float("nan"))
        ms = "" if side.latency_ms is None else f", {side.latency_ms:.3g} ms"
        return f"{metric} {scale * value:.4g}{unit}, {side.params:,} parameters{ms}"

    gain = winner.metrics.get(metric, 0.0) - rival.metrics.get(metric, 0.0)
    better = "the search's network" if gain > 0 else rival.name
    head = f"{better} is better by {scale * abs(gain):.3g}{' points' if unit else ''}"
    return [
        f"{rival.name}, fine-tuned for {duration(rival.seconds)}: {one(rival)}",
        f"against the winner's {one(winner)}: {head if gain else 'both are alike'}",
    ]


def latency(model: nn.Module, shape: tuple[int, ...]) -> float | None:
    """Median milliseconds of one input on one thread of the CPU."""
    model = model.cpu().eval()
    example = torch.zeros((1, *shape))

    def once() -> float:
        start = time.perf_counter()
        model(example)
        return 1e3 * (time.perf_counter() - start)

    with alone(torch.device("cpu"), threads=1):
        return float(Latency(most_s=0.5).repeated(once)[0])


def _params(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def _epoch_s(model: nn.Module, trainer: Trainer, device: torch.device) -> float:
    """Seconds of an epoch, from the quickest of a few steps and what they need besides."""
    data, recipe = trainer.data, trainer.recipe
    train = Split(data, "train", device)
    n = min(recipe.batch_size, len(train))
    model.to(device).train()
    times = []
    state = {key: value.clone() for key, value in model.state_dict().items()}
    for _ in range(_PROBED):
        began = time.perf_counter()
        x, _ = train.batch(torch.arange(n))
        model(x).square().mean().backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    model.load_state_dict(state)
    model.zero_grad()
    share = 1 + 0.4 * (data.sizes[1] + data.sizes[0]) / max(data.sizes[0], 1)  # validation too
    return max(1e-3, min(times) * share * len(train) / n)
