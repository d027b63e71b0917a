"""MLflow and Weights & Biases as far as runs use them: modules of these names that keep what they are told."""

import contextlib
import sys
from collections import namedtuple
from pathlib import Path
from types import ModuleType, SimpleNamespace

Metric = namedtuple("Metric", "key value timestamp step")
Param = namedtuple("Param", "key value")


class Gone(Exception):
    """What a server that is gone looks like."""


class FakeMlflow:
    """A server of MLflow.

    Attributes:
        runs: Run id to its name, tags, parameters, metrics (key to list of steps and values), files and status.
        breaks: Names of functions that fail.
        calls: Names of functions that were called.
    """

    def __init__(self):
        self.runs, self.breaks, self.calls, self.experiments = {}, set(), [], {}

    def install(self, monkeypatch):
        """Puts the module into `sys.modules`."""
        module, entities = ModuleType("mlflow"), ModuleType("mlflow.entities")
        entities.Metric, entities.Param = Metric, Param
        module.MlflowClient, module.entities = lambda: self, entities
        module.get_tracking_uri = lambda: "http://me:secret@tracker:5000"
        monkeypatch.setitem(sys.modules, "mlflow", module)
        monkeypatch.setitem(sys.modules, "mlflow.entities", entities)

    def _call(self, name):
        self.calls.append(name)
        if name in self.breaks:
            raise Gone(f"{name}: connection refused\n  <html> 50 more lines")

    def get_experiment_by_name(self, name):
        self._call("get_experiment_by_name")
        found = self.experiments.get(name)
        return found and SimpleNamespace(experiment_id=found)

    def create_experiment(self, name):
        self.experiments[name] = str(len(self.experiments) + 1)
        return self.experiments[name]

    def create_run(self, experiment_id, *, run_name, tags):
        self._call("create_run")
        run_id = f"r{len(self.runs) + 1}"
        self.runs[run_id] = SimpleNamespace(
            name=run_name, tags=tags, params={}, metrics={}, files={}, status="RUNNING", stage="active"
        )
        return self.get_run(run_id)

    def get_run(self, run_id):
        self._call("get_run")
        if run_id not in self.runs:
            raise Gone(f"there is no run {run_id}")
        run = self.runs[run_id]
        info = SimpleNamespace(run_id=run_id, lifecycle_stage=run.stage)
        return SimpleNamespace(info=info, data=SimpleNamespace(params=dict(run.params)))

    def update_run(self, run_id, *, status):
        self.runs[run_id].status = status

    def set_terminated(self, run_id, *, status):
        self._call("set_terminated")
        self.runs[run_id].status = status

    def get_metric_history(self, run_id, key):
        return [SimpleNamespace(step=step) for step, _ in self.runs[run_id].metrics.get(key, [])]

    def log_batch(self, run_id, metrics=(), params=()):
        self._call("log_batch")
        run = self.runs[run_id]
        for key, value in params:
            assert run.params.setdefault(key, value) == value, "MLflow changes no parameter"
        for metric in metrics:
            run.metrics.setdefault(metric.key, []).append((metric.step, metric.value))

    def log_artifact(self, run_id, path):
        self._call("log_artifact")
        self.runs[run_id].files[Path(path).name] = Path(path).read_bytes()

    def log_figure(self, run_id, figure, name):
        self.runs[run_id].files[name] = bytes(figure.canvas.buffer_rgba() if figure.canvas.draw() is None else b"")


class FakeWandb:
    """Weights & Biases.

    Attributes:
        runs: What `init` has made, one a call.
        mode: As ``WANDB_MODE``.
        breaks: Names of functions that fail.
    """

    def __init__(self, folder):
        self.runs, self.mode, self.breaks, self.folder = [], "online", set(), folder

    def install(self, monkeypatch):
        """Puts the module into `sys.modules`."""
        module = ModuleType("wandb")
        module.Settings, module.Image = lambda **settings: settings, lambda pixels: ("picture", pixels.shape)
        module.setup = lambda: SimpleNamespace(settings=SimpleNamespace(mode=self.mode))
        module.login, module.init = self._login, self._init
        monkeypatch.setitem(sys.modules, "wandb", module)

    def _login(self, *, prompt):
        assert not prompt
        if "login" in self.breaks:
            raise Gone("No API key configured.")

    def _init(self, *, id, **arguments):
        run = SimpleNamespace(id=id, arguments=arguments, rows=[], summary={}, files={}, exit_code=None)
        run.dir, run.url = str(self.folder / f"{len(self.runs)}-{id}"), f"https://wandb/{id}"
        Path(run.dir).mkdir()

        def log(values, *, step, commit):
            if "log" in self.breaks:
                raise Gone("log: broken pipe")
            run.rows.append((step, values))

        def save(path, *, base_path, policy):
            run.files[Path(path).name] = Path(path).read_bytes()

        def finish(*, exit_code):
            run.exit_code = exit_code

        run.log, run.save, run.finish = log, save, finish
        self.runs.append(run)
        return run


@contextlib.contextmanager
def away(server, *names):
    """A server of which some functions fail while the body runs."""
    server.breaks |= set(names)
    try:
        yield
    finally:
        server.breaks -= set(names)
