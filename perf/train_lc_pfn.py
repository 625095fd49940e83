"""Train the network of `lc-pfn` on curves drawn from the prior, and write its weights.

`perf/train_lc_pfn.py [STEPS]`: a minute or two on one core; the weights are those that ship. Prints
the mean negative log-likelihood on curves that were not trained on, beside that of the last value
with the best constant deviation.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from torch import nn

from foretell._rng import stream
from foretell.evidence.curves.lc_pfn import WEIGHTS, answer
from foretell.evidence.curves.parts.families import FAMILIES, Mixture
from foretell.evidence.curves.parts.summary import SIZE, summary

BATCH, HIDDEN = 256, 64
Drawn = tuple[np.ndarray, np.ndarray, np.ndarray]  # features, last value, value at the horizon


def drawn(rng: np.random.Generator, n: int = BATCH) -> tuple[np.ndarray, np.ndarray, int]:
    """Starts (n, t), ends (n,) and the horizon; of a batch all are as long."""
    horizon = int(np.exp(rng.uniform(np.log(8), np.log(200))))
    t = int(np.clip(np.exp(rng.uniform(0, np.log(horizon))), 1, horizon - 1))
    model = Mixture(tuple(FAMILIES), max(horizon, 2))
    x = np.append(np.arange(1.0, t + 1), float(horizon))
    f, sigma = model.curves(rng.standard_normal((n, model.size)), x)
    y = f + sigma[:, None] * rng.standard_normal(f.shape)
    return y[:, :-1], y[:, -1], horizon


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 1_500
    rng = stream(0, "lc-pfn")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    first = [summary(s, h) for s, _, h in (drawn(rng) for _ in range(200))]
    centre = np.concatenate(first).mean(axis=0)
    scale = 1 / np.concatenate(first).std(axis=0)
    net = nn.Sequential(
        nn.Linear(SIZE, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh(),
        nn.Linear(HIDDEN, 2),
    )  # fmt: skip
    opt = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, 3e-3, total_steps=steps)
    for step in range(steps):
        seen, end, horizon = drawn(rng)
        F = torch.from_numpy(((summary(seen, horizon) - centre) * scale).astype(np.float32))
        y = torch.from_numpy((end - seen[:, -1]).astype(np.float32))
        mean, log_std = net(F).T
        log_std = (log_std - 3.0).clamp(-7, 0)
        loss = (((y - 0.2 * mean) / log_std.exp()) ** 2 / 2 + log_std).mean()
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        schedule.step()
        if step % 500 == 0:
            print(step, round(float(loss), 3), flush=True)
    layers = [m for m in net if isinstance(m, nn.Linear)]
    weights = {"centre": centre, "scale": scale}
    for k, layer in enumerate(layers):
        weights |= {f"W{k}": layer.weight.detach().numpy().T, f"b{k}": layer.bias.detach().numpy()}
    np.savez_compressed(WEIGHTS, **{k: v.astype(np.float32) for k, v in weights.items()})

    test, ours, naive, inside = stream(1, "lc-pfn"), [], [], []
    for _ in range(200):
        seen, end, horizon = drawn(test)
        mean, std = answer(weights, seen, horizon)
        ours.append(np.mean(((end - mean) / std) ** 2 / 2 + np.log(std)))
        rest = end - seen[:, -1]
        naive.append(0.5 + np.log(rest.std()))
        inside.append(np.mean(np.abs(end - mean) < 1.645 * std))
    print(f"new curves: {np.mean(ours):.3f}, last value {np.mean(naive):.3f}")
    print(f"90 % intervals hold {np.mean(inside):.1%}; {WEIGHTS.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
