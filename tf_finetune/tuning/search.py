"""`Search`: what is searched and how, as `search.json` has it, and whether it is still the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tf_finetune.config import RESUME_AUTO, Config, write_config
from tf_finetune.errors import ConfigError, RunError, TuningError
from tf_finetune.files import read_json, write_json, write_text
from tf_finetune.training.identity import differences, is_about_the_machine
from tf_finetune.tuning.folder import TuneFolder
from tf_finetune.tuning.settings import DEFAULT_TRIALS, TuneConfig
from tf_finetune.tuning.space import Space
from tf_finetune.tuning.trial_config import values_of

__all__ = ["Search"]

FORMAT = 1
CHANGEABLE = ("max_trials", "workers", "keep", "objective")
"""Settings that may differ when a search is gone on with; the objective is compared by itself."""
ADVICE = (
    "\nGive what it was begun with, or leave it out; more trials (--max-trials) may be asked for. Or begin another "
    "search with another --output."
)


@dataclass(frozen=True)
class Search:
    """What is searched, and how.

    Attributes:
        config: The configuration as given.
        space: What may be tried.
        settings: How.
        initial_points: Trials that a Bayesian search draws at random.
        identity: What the trials' results follow from, as in `describe_identity`.
    """

    config: Config
    space: Space
    settings: TuneConfig
    initial_points: int
    identity: Mapping[str, Any]

    @property
    def objective(self) -> str:
        """The value that decides."""
        return self.config.fit.monitor

    @classmethod
    def new(cls, config: Config, space: Space, settings: TuneConfig, identity: Mapping[str, Any]) -> Search:
        """A search that begins.

        Of a Bayesian one a third is drawn at random, at most three trials for each option as keras-tuner has it.

        Raises:
            ConfigError: The space does not go with the algorithm.
        """
        _check_space(space, settings.algorithm)
        points = max(3, min(3 * len(space.dimensions), (settings.most_trials or DEFAULT_TRIALS) // 3))
        return cls(config, space, settings, points, identity)

    @classmethod
    def read(cls, folder: TuneFolder) -> Search:
        """The search of a folder.

        Raises:
            RunError: There is none, or it is damaged.
        """
        if not folder.exists:
            raise RunError(f"{folder.model.path} holds no search: there is no {folder.search}.")
        values = read_json(folder.search)
        if values.get("format") != FORMAT:
            raise RunError(f"{folder.search} has format {values.get('format')!r}; this version reads format {FORMAT}.")
        try:
            return cls(
                config=Config.from_dict(values["config"]),
                space=Space.from_dict(values["space"]),
                settings=TuneConfig(**values["settings"]),
                initial_points=int(values["initial_points"]),
                identity=dict(values["identity"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{folder.search} is damaged: {error}") from error

    def write(self, folder: TuneFolder) -> None:
        """Writes the search, the file that makes it one last."""
        run = dataclasses.replace(self.config.run, overwrite=False, resume=None, force=False, max_hours=None)
        write_text(folder.config, write_config(dataclasses.replace(self.config, run=run)))
        run = dataclasses.replace(run, resume=RESUME_AUTO, force=self.config.run.force)  # no force without resume
        values = {
            "format": FORMAT,
            "config": dataclasses.replace(self.config, run=run).to_dict(),
            "space": self.space.to_dict(),
            "settings": dataclasses.asdict(self.settings),
            "initial_points": self.initial_points,
            "identity": dict(self.identity),
        }
        write_json(folder.search, values)

    def check_same(self, other: Search, *, force: bool) -> list[str]:
        """Refuses to go on with this search as another one.

        Args:
            other: What is to be gone on with now.
            force: Whether data, options and versions may differ; space, algorithm, objective, seed, the values of the
                first trial and hyperband's epochs may not.

        Returns:
            What differs nevertheless, a line each.

        Raises:
            ConfigError: It would be another search.
            TuningError: Its trials could not be compared.
        """
        found = [row.line for row in differences(self._terms(), other._terms())]
        if found:
            raise ConfigError("\n  ".join(["This would be another search than the one begun:", *found]) + ADVICE)
        identity = differences(self.identity, other.identity)
        serious = [row.line for row in identity if not is_about_the_machine(row)]
        if serious and not force:
            raise TuningError(
                "\n  ".join(["The trials would not be comparable with those of the search begun:", *serious])
                + "\nGive what it was begun with, or --force to go on all the same; or another --output."
            )
        return [row.line for row in identity]

    def _terms(self) -> dict[str, Any]:
        settings = {key: value for key, value in vars(self.settings).items() if key not in CHANGEABLE}
        epochs = ("fit.epochs",) if self.settings.algorithm == "hyperband" else ()
        drawn = values_of(self.config, ("fit.seed", *epochs, *self.space.names))
        return {**settings, **drawn, "objective": self.objective, "space": self.space.to_dict()}


def _check_space(space: Space, algorithm: str) -> None:
    """Refuses a space that does not go with the algorithm."""
    if algorithm == "hyperband" and "fit.epochs" in space.names:
        raise ConfigError(
            "fit.epochs cannot be searched by hyperband, which chooses the epochs: give --epochs as most."
        )
    ranges = [d for d in space.dimensions if not d.values]
    endless = [d.name for d in ranges if d.log or (d.step is None and d.option.kind is float)]
    if algorithm == "grid" and endless:
        raise ConfigError(f"{endless[0]}: a grid needs a list of values, or a range with a step.")
