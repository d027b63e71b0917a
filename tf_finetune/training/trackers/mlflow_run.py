"""`MlflowRun`: a run of MLflow, by its client.

MLflow's own Keras callback, `mlflow.tensorflow.MlflowCallback`, accepts tf_keras and is not used: it logs the
validation values of all epochs once more as step 0, logs epochs again when a run is gone on with, and writes into the
process' one active run.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tf_finetune.evaluation.metrics import Scores
from tf_finetune.training.trackers.packages import load_mlflow
from tf_finetune.training.trackers.parameters import flat_scores
from tf_finetune.training.trackers.picture import confusion_figure
from tf_finetune.training.trackers.tracker import FAILED, FINISHED, STOPPED, Opened, TrackedRun, Tracker

if TYPE_CHECKING:
    from mlflow.entities import Metric

__all__ = ["MlflowRun"]

EXPERIMENT = "tf_finetune"
STATUS = {FINISHED: "FINISHED", STOPPED: "KILLED", FAILED: "FAILED"}
MARKER = "loss"
"""The value that every epoch has; it tells which epochs MLflow has."""
CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")


class MlflowRun(Tracker):
    """Logs to the server, database or folder that ``MLFLOW_TRACKING_URI`` names; MLflow's own default without it.

    The experiment is that of ``MLFLOW_EXPERIMENT_ID`` or ``MLFLOW_EXPERIMENT_NAME``, else ``tf_finetune``; it is made
    if it is missing. Runs of a search have its name as the tag ``group``.

    Args:
        run: What is tracked.
    """

    name = "mlflow"
    advice = "Check MLFLOW_TRACKING_URI and that its server runs, or leave --tracker mlflow out."

    def __init__(self, run: TrackedRun) -> None:
        self.run = run
        self.mlflow = load_mlflow()
        self.client: Any = None
        self.run_id = ""

    def open(self, run_id: str | None) -> Opened:
        """Begins a run, or goes on with one; parameters that it has already cannot be changed, and stay."""
        from mlflow.entities import Param

        self.client = self.mlflow.MlflowClient()
        found = self._begin() if run_id is None else self._found(run_id)
        self.run_id = found.info.run_id
        new = {key: value for key, value in self.run.parameters.items() if key not in found.data.params}
        if new:
            self.client.log_batch(self.run_id, params=[Param(key, str(value)) for key, value in new.items()])
        steps = [metric.step for metric in self.client.get_metric_history(self.run_id, MARKER)] if run_id else []
        uri = CREDENTIALS.sub("", self.mlflow.get_tracking_uri())
        return Opened(self.run_id, max(steps, default=-1) + 1, f"run {self.run_id} at {uri}")

    def _begin(self) -> Any:
        group = {} if self.run.group is None else {"group": self.run.group}
        return self.client.create_run(
            self._experiment(), run_name=self.run.name, tags={"mlflow.source.name": "tf-finetune", **group}
        )

    def _found(self, run_id: str) -> Any:
        found = self.client.get_run(run_id)
        if found.info.lifecycle_stage != "active":
            raise RuntimeError(f"the run {run_id} was deleted")
        self.client.update_run(run_id, status="RUNNING")
        return found

    def _experiment(self) -> str:
        """The id of the experiment; another process may make it at the same moment."""
        if os.environ.get("MLFLOW_EXPERIMENT_ID"):
            return os.environ["MLFLOW_EXPERIMENT_ID"]
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self.client.create_experiment(name))
        except Exception:
            found = self.client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)

    def log_epoch(self, epoch: int, values: Mapping[str, float], *, is_now: bool) -> None:
        """Logs the values of an epoch."""
        self.client.log_batch(self.run_id, metrics=self._metrics(epoch, values))

    def log_scores(self, epoch: int, scores: Mapping[str, Scores]) -> None:
        """Logs the scores as metrics; config.yaml, metrics.json and pictures of the confusion matrices as artefacts."""
        for part, found in scores.items():
            self.client.log_batch(self.run_id, metrics=self._metrics(epoch, flat_scores(part, found)))
            figure = confusion_figure(found.confusion, found.label_names)
            self.client.log_figure(self.run_id, figure, f"confusion_{part}.png")
        for path in (self.run.folder.config, self.run.folder.metrics):
            self.client.log_artifact(self.run_id, str(path))

    def close(self, status: str) -> None:
        """Ends the run; one that was stopped is called KILLED until it is gone on with."""
        self.client.set_terminated(self.run_id, status=STATUS[status])

    def _metrics(self, epoch: int, values: Mapping[str, float]) -> list[Metric]:
        from mlflow.entities import Metric

        now = round(1000 * time.time())
        return [Metric(name, value, now, epoch) for name, value in values.items()]
