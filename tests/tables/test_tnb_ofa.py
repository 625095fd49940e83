"""Readers of TransNAS-Bench-101 and once-for-all, on files written as the official ones are."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.errors import DataError
from foretell.tables import finding


@pytest.mark.parametrize("zipped", [True, False])
def test_transnas(tmp_path, zipped) -> None:
    space = ft.spaces.get("tnb-micro")
    texts = space.to_str(space.sample(4, rng=0))

    def task(i):
        metrics = {
            "train_top1": [1.0, 2.0],
            "valid_top1": [3.0, 40.0 + i],
            "valid_loss": [9.0, 2.0],
        }
        return {"total_epochs": 2, "model_info": {"model_params": 1.0}, "metrics": metrics}

    data = {
        "metrics_dict": {"class_scene": ["train_top1", "valid_top1", "valid_loss"]},
        "info_names": ["model_params"],
        "task_list": ["class_scene"],
        "data": {
            "macro": {"64-1234-basic": {"class_scene": task(0)}},
            "micro": {text: {"class_scene": task(i)} for i, text in enumerate(texts)},
        },
    }
    file = tmp_path / "transnas-bench_v1.pth"
    torch.save(data, file, _use_new_zipfile_serialization=zipped)
    found = finding.benchmark(file)
    assert found is not None
    assert (found.name, found.space) == ("tnb", "tnb-micro")
    np.testing.assert_array_equal(found.X, space.from_str(texts))
    assert found.columns["val_class_scene_top1"].values.tolist() == [40.0, 41.0, 42.0, 43.0]
    assert found.columns["val_class_scene_top1"].better == "max"
    assert found.columns["val_class_scene_loss"].better == "min"
    assert "skeletons" in found.notes[0]
    data["data"] = {"macro": data["data"]["macro"]}
    torch.save(data, file, _use_new_zipfile_serialization=zipped)
    assert finding.benchmark(file).space == "tnb-macro"


def setting(side, k=3):
    return json.dumps({"ks": [k] * 20, "e": [4] * 20, "d": [2] * 5, "image_size": side})


def test_once_for_all(tmp_path) -> None:
    (tmp_path / "224.dict").write_text(json.dumps({setting(224): 0.75, setting(224, 5): 0.76}))
    (tmp_path / "132.dict").write_text(json.dumps({setting(132): 0.7}))
    found = finding.benchmark(tmp_path)
    assert found is not None
    assert (found.name, found.space, found.notes) == (
        "ofa",
        "ofa-mbv3",
        ("left out: resolutions 132",),
    )
    assert found.columns["val_acc"].values.tolist() == [0.75, 0.76]
    assert found.columns["val_acc"].unit == "fraction"
    one = finding.benchmark(tmp_path / "224.dict")
    np.testing.assert_array_equal(one.X, found.X)
    with pytest.raises(DataError, match="no sub-network"):
        finding.benchmark(tmp_path / "132.dict")
