"""The model card of `best/`: Markdown for people, with front matter that model hubs read."""

from __future__ import annotations

import json
import math

from foretell.winner.base import Winner

_CARD = """---
{front}
---

# {title}

The best of a search of the space `{space}` by foretell.

| metric | value |
|---|---|
{metrics}

- architecture: `{arch}`
- parameters: {params:,}
- input: numbers of shape (batch, {shape}) as the data had them; normalised inside, with mean {mean}
  and standard deviation {std}
- output: {output}

It was chosen by `{objective}`; test data had no part in the choice.

## Use

```python
import model

network = model.load()  # nn.Module in eval mode
outputs = network(inputs)  # as the data had them
```

`model.py` needs {needs}; `foretell.load(folder)` gives the same network. New files, read and
normalised as in training, and other formats:

```
foretell predict best NEW_FILE
foretell export best --onnx model.onnx --pt2 model.pt2
```
"""

_METRICS = {"acc": "accuracy", "r2": "r_squared"}  # our name -> the hub's
_PIPELINES = ("image-classification", "tabular-classification", "tabular-regression")


def card(winner: Winner, why: str) -> str:
    """The text of README.md.

    Args:
        winner: the network.
        why: it cannot be written as statements of torch alone; "" if it can.
    """
    arch = winner.space.to_str(winner.x[None])[0]
    labels = [_line(label) for label in winner.labels]
    kind = "labels, each by its own sigmoid" if winner.task == "multilabel" else "classes"
    classes = f"scores of {len(labels)} {kind}: " + ", ".join(labels[:20])
    shape = winner.space.input_shape
    return _CARD.format(
        front="\n".join(_front(winner)),
        title=_title(winner),
        space=winner.space.name,
        metrics="\n".join(f"| {name} | {value:.4f} |" for name, value in winner.metrics.items()),
        arch=_line(arch),
        params=sum(p.numel() for p in winner.module.parameters()),
        shape=", ".join(map(str, shape)),
        mean=_numbers(winner.inputs.get("mean", [])),
        std=_numbers(winner.inputs.get("std", [])),
        output=(classes + (", ..." if len(labels) > 20 else ""))
        if labels
        else "the target(s) in their own unit; see config.json",
        objective=winner.objective,
        needs="torch alone" if not why else f"foretell too, because: {_line(why)}",
    )


def _front(winner: Winner) -> list[str]:
    """Lines of YAML; strings are quoted as in JSON, which YAML reads."""
    kind = {1: "tabular", 3: "image"}.get(len(winner.space.input_shape), "other")
    task = f"{kind}-{winner.task}"
    tested = {
        name.removeprefix("test_"): value
        for name, value in winner.metrics.items()
        if name.startswith("test_") and math.isfinite(value)
    }
    lines = ["library_name: pytorch", "tags: [foretell, neural-architecture-search]"]
    lines += [f"pipeline_tag: {task}"] if task in _PIPELINES else []
    if not tested:
        return lines
    data = json.dumps(_line(str(winner.facts.get("data", "own"))), ensure_ascii=False)
    lines += [
        f"metrics: [{', '.join(_METRICS.get(name, name) for name in tested)}]",
        "model-index:",
        f"- name: {json.dumps(_title(winner), ensure_ascii=False)}",
        "  results:",
        f"  - task: {{type: {task}}}",
        f"    dataset: {{name: {data}, type: {data}, split: test}}",
        "    metrics:",
    ]
    for name, value in tested.items():
        lines.append(f"    - {{type: {_METRICS.get(name, name)}, value: {value:.6f}}}")
    return lines


def _title(winner: Winner) -> str:
    return f"{_line(str(winner.facts.get('data', 'Network')))}: {winner.task}"


def _line(text: str) -> str:
    """`text` without line breaks and what else does not print."""
    return "".join(c if c.isprintable() else " " for c in text)


def _numbers(values: list[float]) -> str:
    text = ", ".join(f"{value:.4g}" for value in values[:4])
    return f"[{text}]" if len(values) <= 4 else f"[{text}, ...] (all in config.json)"
