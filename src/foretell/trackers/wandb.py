"""Weights & Biases: one run for each network, in a group."""

from __future__ import annotations

import os
import shutil
from typing import Any

from foretell.trackers.base import Watcher
from foretell.trackers.parts.events import Event, decisions, facts, finite, points


class WandB(Watcher):
    """A wandb run for each trial, its id made of the run and the trial; the run is the group.

    Offline (`wandb sync DIR/wandb/offline-run-*` uploads) unless WANDB_MODE says otherwise;
    WANDB_PROJECT and WANDB_ENTITY are respected, the project is else "foretell". A trial whose
    logging was broken off is logged anew under the same id.
    """

    def _known(self, settings: dict[str, Any]) -> set[int]:
        self._done = self.folder / "wandb" / "logged"
        self._done.mkdir(parents=True, exist_ok=True)
        return {int(path.name) for path in self._done.iterdir() if path.name.isdecimal()}

    def _add(self, event: Event) -> None:
        import wandb

        run_id = f"{self.key}-{event['id']}"
        for torn in (self.folder / "wandb").glob(f"*run-*-{run_id}"):
            shutil.rmtree(torn, ignore_errors=True)
        mode: Any = os.environ.get("WANDB_MODE") or "offline"
        quiet = wandb.Settings(
            silent=True, console="off", disable_git=True, disable_code=True,
            x_disable_stats=True, x_disable_meta=True,
        )  # fmt: skip
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or "foretell",
            group=self.name,
            id=run_id,
            name=f"{self.name}-{event['id']}",
            config=decisions(self.space, event["x"]),
            dir=self.folder,
            mode=mode,
            resume="allow" if mode == "online" else None,
            reinit="create_new",
            settings=quiet,
        )
        epochs: dict[int, dict[str, float]] = {}
        for name, epoch, value in points(event):
            epochs.setdefault(epoch, {})[name] = value
        for epoch, values in sorted(epochs.items()):
            run.log(values, step=epoch)
        run.summary.update(finite(event["metrics"]) | facts(event))
        run.finish(exit_code=int(bool(event["error"])))
        (self._done / str(event["id"])).touch()
