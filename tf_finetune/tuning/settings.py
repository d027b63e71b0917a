"""`TuneConfig`: the options of a search, beside the configuration of the trials."""

from __future__ import annotations

from dataclasses import dataclass

from tf_finetune.config.option import option
from tf_finetune.config.sections import Section
from tf_finetune.errors import ConfigError

__all__ = ["DEFAULT_TRIALS", "TuneConfig"]

DEFAULT_TRIALS = 20


@dataclass(frozen=True)
class TuneConfig(Section):
    """How to search."""

    algorithm: str = option(
        "random",
        "random: values drawn at random; bayesian: by a Gaussian process of the scores so far; hyperband: many trials "
        "for few epochs, the best of which go on; grid: all combinations.",
        choices=("random", "bayesian", "hyperband", "grid"),
    )
    max_trials: int | None = option(
        None,
        "Most trials, the first of which is the configuration as given. Default: 20; for grid and hyperband all that "
        "they plan.",
        minimum=1,
    )
    objective: str | None = option(
        None,
        "Value of the validation rows that decides. Default: --monitor of the configuration.",
        choices=("val_accuracy", "val_macro_f1", "val_loss"),
    )
    prune: str = option(
        "none",
        "median: stop a trial after an epoch at which it is worse than the median of the others there.",
        choices=("none", "median"),
    )
    factor: int = option(3, "Of how many trials hyperband lets one go on.", minimum=2, maximum=16)
    workers: int = option(1, "Trials at a time, each with its share of the processor cores.", minimum=1)
    keep: int = option(3, "Trials whose weights are kept: the best ones. Those of the baseline are, too.", minimum=1)

    def __post_init__(self) -> None:
        """Refuses wrong values, and those without effect.

        Raises:
            ConfigError: What is wrong.
        """
        super().__post_init__()
        if self.algorithm == "hyperband" and self.prune != "none":
            raise ConfigError(f"--prune {self.prune} does not go with --algorithm hyperband, which prunes by itself.")
        if self.algorithm != "hyperband" and self.factor != 3:
            raise ConfigError(f"--factor {self.factor} has no effect with --algorithm {self.algorithm}.")

    @property
    def most_trials(self) -> int | None:
        """Most trials; None for all that the algorithm plans."""
        if self.max_trials is None and self.algorithm in ("random", "bayesian"):
            return DEFAULT_TRIALS
        return self.max_trials
