"""TensorBoard: `tensorboard --logdir DIR/tensorboard` while the run goes on."""

from __future__ import annotations

import os
import shutil
from typing import Any

from foretell.trackers.base import Watcher
from foretell.trackers.parts.events import Event, decisions, facts, finite, points


class TensorBoard(Watcher):
    """A TensorBoard run in `tensorboard/<id>` for each trial: its curves, and its decisions as
    hyperparameters with the final metrics.

    A run is written beside the folder and moved there whole: one that is there is complete.
    """

    def _known(self, settings: dict[str, Any]) -> set[int]:
        self._runs = self.folder / "tensorboard"
        self._part = self.folder / "tensorboard.tmp"
        shutil.rmtree(self._part, ignore_errors=True)
        self._runs.mkdir(exist_ok=True)
        return {int(path.name) for path in self._runs.iterdir() if path.name.isdecimal()}

    def _add(self, event: Event) -> None:
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(self._part)) as writer:
            for name, epoch, value in points(event):
                writer.add_scalar(name, value, epoch)
            writer.add_text("trial", "\n".join(f"- {k}: {v}" for k, v in facts(event).items()))
            chosen = decisions(self.space, event["x"])
            final = {f"final/{name}": value for name, value in finite(event["metrics"]).items()}
            writer.add_hparams(chosen, final, run_name=".")
        os.replace(self._part, self._runs / f"{event['id']:05d}")
