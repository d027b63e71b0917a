"""The process of a trial: ``python -m tf_finetune.tuning.trial_process FOLDER`` trains what `trial.json` says.

It ends with 0 when the run is finished, 75 or 130 when it was stopped, and else writes `error.json` and ends with 1.
When the process that has started it is gone, it saves and stops, as after SIGTERM.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from tf_finetune.config import Config
from tf_finetune.errors import FinetuneError, TrainingStopped
from tf_finetune.files import write_json
from tf_finetune.run import ModelFolder
from tf_finetune.tuning.assignment import Assignment, read_history
from tf_finetune.tuning.pruning import is_hopeless

__all__ = ["PRUNED", "main"]

PRUNED = "pruned.json"


class StopRule:
    """When a trial stops before its last epoch.

    Args:
        folder: The trial's folder, among those of the others.
        assignment: What the trial is to do.
    """

    def __init__(self, folder: ModelFolder, assignment: Assignment) -> None:
        self.folder, self.assignment = folder, assignment

    def __call__(self, history: Sequence[Mapping[str, float]]) -> bool:
        """Whether to stop after the epochs of `history`."""
        last = self.assignment.last_epoch
        if last is not None and len(history) >= last:
            return True
        if not self.assignment.prune or len(history) >= self.assignment.config["fit"]["epochs"]:
            return False
        others = [ModelFolder(path) for path in sorted(self.folder.path.parent.iterdir()) if path != self.folder.path]
        finished = [read_history(other) for other in others if other.is_complete]
        hopeless = is_hopeless(history, finished, self.assignment.objective)
        if hopeless:
            write_json(self.folder.path / PRUNED, {"epoch": len(history), "others": len(finished)})
        return hopeless


def main(path: str) -> int:
    """Trains the trial of a folder.

    Returns:
        The exit code.
    """
    folder = ModelFolder(Path(path))
    threading.Thread(target=_stop_when_alone, daemon=True).start()
    try:
        assignment = Assignment.read(folder)
        config = Config.from_dict(assignment.config)
        from tf_finetune.training.fit import fit

        fit(
            config,
            progress=sys.stderr,
            stops=StopRule(folder, assignment),
            uses_test=False,
            keeps_checkpoints=assignment.keeps_checkpoints,
            group=folder.path.absolute().parents[2].name,  # the model folder of the search
        )
    except (KeyboardInterrupt, TrainingStopped) as stopped:
        logging.getLogger(__name__).info("%s", stopped)
        return int(getattr(stopped, "exit_code", 130))
    except Exception as error:
        traceback.print_exc()
        words = str(error) if isinstance(error, FinetuneError) else f"{type(error).__name__}: {_first_line(error)}"
        write_json(folder.path / "error.json", {"kind": type(error).__name__, "message": words})
        return 1
    return 0


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")


def _stop_when_alone() -> None:
    """Waits for the end of standard input, which the process that has started this one holds open."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main(sys.argv[1]))
