"""TensorBoard's own reader finds every trial, once."""

from __future__ import annotations

from foretell.trackers.tensorboard import TensorBoard


def test_read_back(tmp_path, tracked, journal):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    torn = tmp_path / "tensorboard.tmp"
    torn.mkdir()
    (torn / "events.out.tfevents.torn").write_bytes(b"torn")
    tracked(lambda: TensorBoard(tmp_path))
    for at in range(len(journal) + 1):  # goes on anywhere, adds nothing
        tracked(lambda: TensorBoard(tmp_path), live_from=at)
    runs = sorted((tmp_path / "tensorboard").iterdir())
    assert [path.name for path in runs] == ["00000", "00001", "00002"]
    assert not torn.exists()
    read = [EventAccumulator(str(path)).Reload() for path in runs]
    assert [(e.step, e.value) for e in read[0].Scalars("val_acc")] == [(1, 0.25), (3, 0.75)]
    assert [e.value for e in read[0].Scalars("train_loss")] == [2.0, 1.5, 1.0]
    assert [e.step for e in read[0].Scalars("test_acc")] == [3]
    assert read[1].Tags()["scalars"] == []  # it failed; its text says why
    (text,) = read[1].Tensors("trial/text_summary")
    assert b"no memory" in text.tensor_proto.string_val[0]
    found = HParamsPluginData.FromString(
        read[2].PluginTagToContent("hparams")["_hparams_/session_start_info"]
    ).session_start_info.hparams
    assert {name: found[name].number_value or found[name].string_value for name in found} == {
        "depth": 2, "op_0": "skip", "op_1": "skip", "rate": 0.2,
    }  # fmt: skip
