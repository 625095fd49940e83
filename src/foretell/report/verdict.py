"""What the numbers say, in sentences: the verdict, and what to try next."""

from __future__ import annotations

import math

import numpy as np

from foretell import metrics
from foretell.report.data import one_answer
from foretell.report.reading import Run, number, numbers
from foretell.report.retrained import Retrained
from foretell.report.retrained import said as again
from foretell.report.units import plural, words

_RARE = 10  # test examples of a class, below which each moves its recall by more than ten points


def verdict(run: Run) -> str:
    """One sentence or two: what was found, against random search and against the sampled."""
    winner = run.winner
    if winner is None:
        failed = len(run.trials)
        return (
            f"No network could be trained: all {plural(failed, 'trial')} failed, for the reasons "
            "below."
            if failed
            else "No network has been trained yet."
        )
    size = run.record.space.size
    trained = len({t.id for t in run.trials if t.phase in ("sample", "top")})
    out_of = f" of {size:,}" if size is not None else ""
    lead = (
        f"Found by training {trained:,}{out_of} networks: "
        if run.finished
        else f"Unfinished; the best of {plural(trained, 'network')} so far has "
    )
    test = tested_value(run)
    tested = f", {run.metric.show(test)} {words(run.metric.on('test'))}"
    said = [
        f"{lead}{run.metric.show(winner.value)} {run.metric.label}"
        f"{tested if np.isfinite(test) else ''}."
    ]
    said += filter(None, [one_answer(run)])
    if run.stopped_by:
        said.append(f"A budget ended the search: {run.stopped_by}.")
    found = Retrained.of(run)
    if found is not None:
        said.append(again(run, found))
    rival = _against_random(run)
    if rival:
        said.append(rival)
    sampled = run.of("sample")
    if sampled and run.of("top"):
        best = max(sampled, key=lambda trial: trial.value)
        gain = winner.value - best.value
        if winner.phase != "top":
            n = len(run.of("top"))
            lead = (
                f"None of the {n} predicted best did" if n > 1 else "The predicted best did not do"
            )
            said.append(
                f"{lead} better than the best of the {len(sampled)} sampled networks, which "
                "therefore wins."
            )
        else:
            said.append(
                f"On the validation split it is {_compared(run, gain)} the best of the "
                f"{len(sampled)} sampled networks."
            )
    return " ".join(said)


def tested_value(run: Run) -> float:
    """The winner's metric on the test split, NaN before the end."""
    return number(run.final and run.final.metrics.get(run.metric.on("test")))


def rival_value(run: Run, split: str) -> float:
    """The metric of the best random network, NaN without random search."""
    return number(run.rival.metrics.get(run.metric.on(split)))


def _against_random(run: Run) -> str:
    n = run.rival.n
    if run.winner is not None and run.rival.id == run.winner.id:
        return f"It is the best of {n} random networks too."
    for split, mine in (("test", tested_value(run)), ("val", _winner_value(run))):
        theirs = rival_value(run, split)
        if np.isfinite(mine) and np.isfinite(theirs):
            gain = mine - theirs
            text = (
                f"On the {'test' if split == 'test' else 'validation'} split it is "
                f"{_compared(run, gain)} the best of {n} random networks "
                f"({run.metric.show(theirs)})"
            )
            noise = gap_noise(run, split, mine, theirs)
            if 0 < abs(gain) < noise:
                examples = run.record.data.sizes.get(split, 0)
                text += (
                    f", less than what {plural(examples, 'example')} can tell apart "
                    f"(±{run.metric.gap(noise)})"
                )
            return text + "."
    return ""


def gap_noise(run: Run, split: str, one: float, two: float) -> float:
    """Half the 95 % interval of a difference of two accuracies, 0 where it is not known.

    For n examples, p > q and Wilson's intervals (p1, p2), (q1, q2) it is the side that may reach
    0: sqrt((p - p1)^2 + (q2 - q)^2), Newcombe's method 10. It is as if the two networks' mistakes
    were independent; on the same examples they are not quite, so this is on the wide side.

    References: Newcombe, Interval estimation for the difference between independent proportions,
    Statistics in Medicine 1998.
    """
    n = run.record.data.sizes.get(split, 0)
    if run.metric.kind != "acc" or n == 0:
        return 0.0
    p, q = max(one, two), min(one, two)
    below = p - metrics.share_interval(p * n, n)[0]
    above = metrics.share_interval(q * n, n)[1] - q
    return math.hypot(below, above)


def _winner_value(run: Run) -> float:
    return run.winner.value if run.winner else float("nan")


def _compared(run: Run, gain: float) -> str:
    text = run.metric.gap(gain)
    if float(text.split()[0]) == 0:
        return "level with"
    return f"{text} {'above' if gain > 0 else 'below'}"


def next_steps(run: Run) -> list[str]:
    """What the run itself suggests to do next, most useful first; empty when nothing stands out."""
    steps = []
    failed = [t for t in run.trials if not t.ok]
    if run.trials and len(failed) > len(run.trials) / 5:
        steps.append(
            f"{len(failed)} of {len(run.trials)} trials failed: see the reasons first, they cost "
            "time and leave the predictor less to learn from."
        )
    one = _one_class(run)
    if one:
        steps.append(one)
    steps += _predictor_advice(run)
    tied = _tied(run)
    if tied and not one:
        steps.append(tied)
    rising = _still_rising(run)
    if rising:
        steps.append(rising)
    edge = _at_the_edge(run)
    if edge:
        steps.append(edge)
    test = run.record.data.sizes.get("test", 0)
    value = tested_value(run)
    if run.finished and run.metric.kind == "acc" and 0 < test < 1000 and np.isfinite(value):
        low, high = metrics.share_interval(value * test, test)
        steps.append(
            f"The test split has {plural(test, 'example')}, so {run.metric.show(value)} there may "
            f"be anything from {run.metric.show(low)} to {run.metric.show(high)} (95 % interval): "
            "more test data would make the comparison firmer."
        )
    rare = _rare(run)
    if rare:
        steps.append(rare)
    return steps


def _rare(run: Run) -> str:
    """Advice when few test examples of a class decide what is said of it."""
    data = run.record.data
    tested = {name: each[2] for name, each in data.counts.items() if len(each) == 3 and each[2]}
    if data.task != "classification" or not run.finished or not tested:
        return ""
    name = min(tested, key=tested.__getitem__)
    n = tested[name]
    if n >= _RARE or 2 * n >= max(tested.values()):
        return ""
    return (
        f"The test split has {plural(n, 'example')} of {name!r}, each of which is "
        f"{100 / n:.0f} points of its recall: more of that class would make the figures firmer."
    )


def _predictor_advice(run: Run) -> list[str]:
    used, size = run.rank.tau(*run.rank.names), run.rank.tau("n-params")
    if np.isfinite(used) and used < 0.3:
        return [
            f"The predictor orders networks weakly (Kendall tau {used:.2f}): train more samples "
            "(`--train`), or for more epochs so that the networks differ by more than chance."
        ]
    if np.isfinite(used) and np.isfinite(size) and used <= size:
        return [
            "Counting parameters orders the networks as well as the predictor does: the space "
            "differs mostly in size, so a larger or richer space may hold better networks."
        ]
    phase = np.array(run.predictions.get("phase", []))
    predicted = numbers(run.predictions.get("predicted", []))
    measured = numbers(run.predictions.get("measured", []))
    part = (phase == "sample") & np.isfinite(predicted) & np.isfinite(measured)
    if part.sum() > 9 and not np.isfinite(used):
        tau = metrics.kendall(measured[part], predicted[part])
        if tau < 0.3:
            return [f"Predictions order the sampled networks weakly (Kendall tau {tau:.2f})."]
    return []


def _one_class(run: Run) -> str:
    """Advice when the winner says the same of everything, which accuracy may like."""
    said = one_answer(run)
    if not said or not run.finished:
        return ""
    if run.metric.kind == "acc":
        return (
            f"{said} `--metric val_balanced_acc` searches for networks that find every class, and "
            "with `--set balance=true` all classes count alike in training."
        )
    return f"{said} Train for more epochs (`--epochs`), or with more examples of the other classes."


def _tied(run: Run) -> str:
    """Advice when the validation split cannot tell the best networks apart."""
    values = np.array([trial.value for trial in run.ok])
    n = int((values == values.max()).sum()) if len(values) else 0
    examples = run.record.data.sizes.get("val", 0)
    if n < 3:
        return ""
    with_n = f" of {plural(examples, 'example')}" if examples else ""
    return (
        f"{n} networks share the best {run.metric.label}: the validation split{with_n} cannot "
        "choose between them. A larger one, or shorter training, would tell them apart."
    )


def _still_rising(run: Run) -> str:
    """Advice when the best networks gained in their last fifth of training."""
    best = sorted(run.ok, key=lambda t: -t.value)[:5]
    gains = []
    for trial in best:
        values = np.array(trial.curve.get(run.metric.name, []), dtype=float)
        values = values[np.isfinite(values)]
        if len(values) >= 5:
            cut = max(1, len(values) // 5)
            gains.append(values[-cut:].max() - values[:-cut].max())
    if len(gains) > 2 and np.median(gains) > 0.005:
        return (
            f"The best networks still gained {run.metric.gap(float(np.median(gains)))} in the last "
            "fifth of their training: more epochs (`--epochs`) should help all of them."
        )
    return ""


def _at_the_edge(run: Run) -> str:
    """Advice when the winner takes the largest number of an ordered decision."""
    winner = run.winner
    if winner is None or run.space is None or run.rows((winner,)) is None:
        return ""
    names = []
    active = run.space.active(np.array([winner.x]))[0]
    for j, one in enumerate(run.space.choices):
        options = one.options
        ordered = len(options) > 2 and all(
            isinstance(o, (int, float)) and not isinstance(o, bool) for o in options
        )
        if ordered and active[j] and options[winner.x[j]] == max(options):
            names.append(one.name)
    if not names:
        return ""
    shown = ", ".join(names[:4]) + (" and others" if len(names) > 4 else "")
    return (
        f"The winner takes the largest option of {shown}: if its size is acceptable, a space with "
        "larger options may hold a better one."
    )
