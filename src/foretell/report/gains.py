"""What more trials would bring, as a table and in words."""

from __future__ import annotations

import math

import numpy as np

from foretell.expected import LEAST, Gain, expected_gain
from foretell.metrics import bounds
from foretell.report.html import Html, h, join
from foretell.report.parts import table
from foretell.report.reading import Floats, Run, number, numbers
from foretell.report.retrained import Retrained, noise
from foretell.report.units import plural

_MORE = (10, 20, 50)


def gains(run: Run) -> dict[str, list[Gain]]:
    """Expected gains over the best value by 10, 20 and 50 more trials, by how they are chosen.

    Networks that successive halving stopped count with what they had then: trained to the end they
    are taken to be no match for the best ones.
    """
    winner, drawn = run.winner, _random(run)
    if winner is None or len(drawn) < LEAST + 1:
        return {}
    y = np.array(list(drawn.values()))
    upper = bounds(run.metric.name)[1]
    found = {"random": [expected_gain(y, m, best=winner.value, upper=upper) for m in _MORE]}
    predicted = _predicted(run)
    both = [i for i in drawn if i in predicted]
    if len(both) > LEAST:
        y, guess = np.array([drawn[i] for i in both]), np.array([predicted[i] for i in both])
        found["predicted best"] = [
            expected_gain(y, m, predicted=guess, best=winner.value, upper=upper) for m in _MORE
        ]
    return found


def more_trials(run: Run) -> Html | None:
    """The section."""
    found = gains(run)
    if not found:
        return None
    rows = [
        h(
            "tr",
            h("th", f"{gain.m} more, {kind}", scope="row"),
            h("td", f"{100 * gain.chance:.0f} %"),
            h("td", run.metric.gap(gain.mean)),
            h("td", f"{run.metric.gap(gain.low)} to {run.metric.gap(gain.high)}"),
        )
        for kind, line in found.items()
        for gain in line
    ]
    heads = ("Trials", "Chance to beat the best", "Expected gain", "90 % interval")
    words = (
        f"From the upper tail of the {len(_random(run))} random networks, continued with a "
        "generalised Pareto distribution; a predicted best network is taken to be as good as those "
        "that were predicted best without their result, and no better. The gain is that of the "
        f"measured {run.metric.label}, luck included; its mean is right within a factor of two or "
        "so."
    )
    return join([h("p", _worth(run, found)), table(heads, rows), h("p", words, class_="small")])


def _worth(run: Run, found: dict[str, list[Gain]]) -> str:
    """Whether the expected gain is more than what chance does to one training."""
    best = max((line[1] for line in found.values()), key=lambda gain: gain.mean)
    text = f"{best.m} more trials would raise the best by {run.metric.gap(best.mean)} on average"
    spread, why = _spread(run)
    if not spread > 0:
        return f"{text}."
    if best.mean < spread:
        return (
            f"{text}: less than {why} (±{run.metric.gap(spread)}). More trials of this kind are "
            "hardly worth it; longer training, more data or another space may be."
        )
    return f"{text}: more than {why} (±{run.metric.gap(spread)}), so they are worth it."


def _spread(run: Run) -> tuple[float, str]:
    """The standard deviation of what chance does to a value, and what kind of chance that is."""
    again = noise(run, Retrained.of(run))
    if again > 0:
        return again, "the seed of a training moves it"
    examples = run.record.data.sizes.get("val", 0)
    value = run.winner.value if run.winner else float("nan")
    if run.metric.kind == "acc" and examples:
        # one more error than there are, so that a perfect score is not taken to be exact
        p = (value * examples + 1) / (examples + 2)
        why = f"the choice of {plural(examples, 'validation example')} moves it"
        return math.sqrt(p * (1 - p) / examples), why
    return float("nan"), ""


def _random(run: Run) -> dict[int, float]:
    """Values of the networks that were drawn at random, by id.

    What a strategy sampled before a predictor ranked is random; of other strategies only the
    networks of random search are.
    """
    sampled = bool(run.ranks) or run.record.strategy.name == "random"
    phases = ("sample", "random") if sampled else ("random",)
    trials = [trial for trial in (*run.ok, *run.stopped) if trial.phase in phases]
    return {trial.id: trial.value for trial in trials}


def _predicted(run: Run) -> dict[int, float]:
    """Predictions of the sampled networks by models that did not know them, by id."""
    phase = np.array(run.predictions.get("phase", []))
    ids: Floats = numbers(run.predictions.get("id", []))
    values = numbers(run.predictions.get("predicted", []))
    known = (phase == "sample") & np.isfinite(ids) & np.isfinite(values)
    return {int(i): number(v) for i, v in zip(ids[known], values[known], strict=True)}
