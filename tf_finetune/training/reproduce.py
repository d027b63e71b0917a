"""`reproduce`: runs the configuration of a finished run again, and compares both runs to the last bit."""

from __future__ import annotations

import dataclasses
import glob
import logging
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from tf_finetune.config import RESUME_AUTO, Config, resolve_config, write_config
from tf_finetune.errors import RunError, TrainingStopped
from tf_finetune.run import ModelFolder
from tf_finetune.training.comparison import Comparison, by_name, compare
from tf_finetune.training.fit import fit
from tf_finetune.training.identity import describe_identity
from tf_finetune.training.inputs import load_inputs
from tf_finetune.training.outcome import Outcome

__all__ = ["Reproduction", "reproduce"]

logger = logging.getLogger(__name__)

LOCAL = ("local folder", "model folder")
"""Sources of pretrained models that are paths."""


@dataclass(frozen=True)
class Reproduction:
    """How a run that was made again differs from the recorded one.

    Attributes:
        recorded: Model folder of the recorded run.
        run: Model folder of the new run.
        circumstances: What the results follow from, where it differs: versions, machine, data and so on.
        results: ``weights``, ``optimizer``, ``history`` and ``scores`` as SHA-256, but for what was not recorded.
        values: Every value of the history and of the scores.
        not_recorded: What is not compared, since the recorded run is of an older format, in words.
    """

    recorded: ModelFolder
    run: ModelFolder
    circumstances: tuple[Comparison, ...]
    results: tuple[Comparison, ...]
    values: tuple[Comparison, ...]
    not_recorded: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """Whether all results are the same to the last bit."""
        return all(row.same for row in self.results)

    @property
    def verdict(self) -> str:
        """What was found, in a sentence or two."""
        differing = [row.what for row in self.results if not row.same]
        found = f"Not the same: {_listed(differing)}." if differing else ""
        found = found or f"The same to the last bit: {_listed([row.what for row in self.results])}."
        return " ".join([found, *(f"Not recorded, and not compared: {words}." for words in self.not_recorded)])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        groups = {name: getattr(self, name) for name in ("circumstances", "results", "values")}
        return {
            "recorded": str(self.recorded.path),
            "run": str(self.run.path),
            "same": self.is_same,
            **{name: [{**dataclasses.asdict(row), "same": row.same} for row in rows] for name, rows in groups.items()},
            "not_recorded": list(self.not_recorded),
            "verdict": self.verdict,
        }


def reproduce(folder: Path | str, *, output: Path | str | None = None, progress: TextIO | None = None) -> Reproduction:
    """Runs the recorded configuration of a finished run again in a new folder, without export, and compares.

    What is known beforehand to differ (data, pretrained model, versions, machine) is logged as warnings before training
    starts. A reproduction that was stopped is gone on with when the same call is made again.

    Args:
        folder: Model folder of the recorded run.
        output: Model folder of the new run; ``<folder>-reproduced`` by default.
        progress: As for `fit`.

    Raises:
        RunError: There is no finished run in `folder`, or it is damaged; what it was made from is not found from the
            working directory; or `output` holds another run.
        FinetuneError: Whatever `fit` raises.
    """
    recorded = ModelFolder(Path(folder))
    recorded.require_complete()
    before = Outcome.read(recorded)
    new = _beside(recorded.path) if output is None else ModelFolder(Path(output))
    config = _configure(recorded, new)
    _check_paths(recorded, config, before)
    inputs = load_inputs(config)
    identity = dict(by_name(describe_identity(config, inputs.splits, inputs.checkpoint)))
    _warn(before, identity)
    try:
        fit(config, progress=progress)
    except TrainingStopped as error:
        again = f"tf-finetune reproduce {shlex.quote(str(recorded.path))} --output {shlex.quote(str(new.path))}"
        raise TrainingStopped(f"{error}\nTo go on and compare: {again}", exit_code=error.exit_code) from None
    now = Outcome.read(new)
    return Reproduction(
        recorded=recorded,
        run=new,
        circumstances=_changes(before.circumstances, now.circumstances),
        results=tuple(row for row in compare(before.results, now.results) if row.recorded is not None),
        values=compare(before.values, now.values),
        not_recorded=before.not_recorded,
    )


def _beside(path: Path) -> ModelFolder:
    path = path if path.name not in ("", "..") else path.resolve()
    return ModelFolder(path.with_name(f"{path.name}-reproduced"))


def _configure(recorded: ModelFolder, new: ModelFolder) -> Config:
    """The recorded configuration, without trackers, for a folder of nothing or of an unfinished run of the same."""
    config = resolve_config(file=recorded.config, flags={"output": str(new.path), "export": False, "tracker": []})
    if not new.run.exists():
        return config
    if not new.is_complete and new.config.is_file() and new.config.read_text(encoding="utf-8") == write_config(config):
        return dataclasses.replace(config, run=dataclasses.replace(config.run, resume=RESUME_AUTO))
    kind = "a finished run" if new.is_complete else "an unfinished run"
    raise RunError(f"{new.path} holds {kind}, which is not overwritten. Give another --output, or remove it.")


def _check_paths(recorded: ModelFolder, config: Config, before: Outcome) -> None:
    """Refuses paths that lead nowhere; a model of that name would be looked for on the hub, too."""
    data = config.data
    paths = [path for path in (*data.data, *data.validation, *data.test) if not path.startswith("tfds:")]
    if before.model_source in LOCAL:
        paths.append(config.model.model)
    gone = [path for path in paths if not _leads_somewhere(os.path.expanduser(path))]
    if gone:
        raise RunError(
            f"The run in {recorded.path} cannot be made again from here. Not found: {', '.join(gone)}. Relative paths "
            f"in {recorded.config} count from the working directory, which is {Path.cwd()}: change to the one where "
            "the run was made, or put back what is gone."
        )


def _leads_somewhere(path: str) -> bool:
    return os.path.lexists(path) or bool(glob.glob(path, recursive=True))


def _warn(before: Outcome, identity: Mapping[str, Any]) -> None:
    """Says what will keep the results from being the same, or from being compared."""
    for words in before.not_recorded:
        logger.warning("not recorded, and not compared: %s", words)
    for row in _changes(before.identity, identity):
        logger.warning("not as recorded: %s", row.line)
    if before.circumstances.get("deterministic") is False:
        logger.warning("the recorded run was made without deterministic kernels: its results differ each time")
    for line in before.forced:
        logger.warning("the recorded run was gone on with by force after a change: %s", line)


def _changes(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[Comparison, ...]:
    """What differs; nothing, if nothing was recorded."""
    return tuple(row for row in compare(recorded, now) if not row.same) if recorded else ()


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)
