"""`load_splits`: from the data options to training, validation and test data."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tf_finetune.config import DataConfig
from tf_finetune.data.examples import Examples
from tf_finetune.data.options import check_options
from tf_finetune.data.read import UnlabelledError, read_sources
from tf_finetune.data.readers import Source, find_sources, source_identity, source_splits
from tf_finetune.data.sampling import sample_examples
from tf_finetune.data.splits import split_examples
from tf_finetune.errors import ConfigError, DataError

__all__ = ["Splits", "find_split_sources", "load_splits", "sample_files"]


@dataclass(frozen=True, eq=False)
class Splits:
    """The data of a run.

    Attributes:
        train: what the weights are fitted to.
        validation: what the epoch is chosen by.
        test: what is scored once at the end and used for no choice; None if there is none.
        notes: what the terminal should say about the data, a sentence each.
        is_drawn: whether the training or validation rows were drawn by the seed.
    """

    train: Examples
    validation: Examples
    test: Examples | None
    notes: tuple[str, ...] = ()
    is_drawn: bool = False


def sample_files() -> tuple[Path, Path]:
    """The embedded sample: (training reviews, test reviews).

    Raises:
        DataError: They are not installed.
    """
    from importlib import resources

    folder = Path(str(resources.files("tf_finetune.data"))) / "samples"
    files = folder / "reviews.csv", folder / "reviews_test.csv"
    for file in files:
        if not file.is_file():
            raise DataError(f"{file}: the embedded sample is not installed. Install the package again, or give --data.")
    return files


def load_splits(config: DataConfig, *, seed: int, spool_dir: str | None = None) -> Splits:
    """Reads the training data and finds or makes the validation data; test data is found, never made.

    Validation and test splits that lie in the same folder or tfds data set as the training data are used unless
    ``--validation`` or ``--test`` are given. Without validation data, a part of the training rows is held out.
    ``--max-train-samples`` is applied to the training rows that are left then. Whether splits have texts in common is
    for an audit to say: `tf_finetune.inspect`, or its cheap part, `tf_finetune.cheap_audit`.

    Args:
        config: the data options.
        seed: of the split and the sample, unless ``--split-seed`` says otherwise.
        spool_dir: folder of temporary files; texts are kept there, not in memory.

    Raises:
        DataError: The data cannot be read or used as it is.
        ConfigError: An option is malformed, or has no effect.
    """
    seed = seed if config.split_seed is None else config.split_seed
    sources = find_split_sources(config)
    if config.allow_leaks and not sources["validation"] and not sources["test"]:
        raise ConfigError(
            "Options without effect: --allow-leaks, because there is neither validation nor test data, and rows that "
            "are held out share no text with the others. Leave it out."
        )
    read = _Reader(config, spool_dir)
    if not config.data:
        read.notes.append("No --data given: using the embedded sample of reviews.")
    train = read(sources["train"], "train")
    validation = read.held_out(sources["validation"], "validation", train)
    test = read.held_out(sources["test"], "test", train)
    is_drawn = validation is None
    if validation is None:
        train, validation = _split(train, config, seed, read.notes)
    else:
        _refuse_split_options(config)
    if config.max_train_samples is not None and config.max_train_samples < len(train):
        rows = len(train)
        train = sample_examples(train, size=config.max_train_samples, seed=seed)
        read.notes.append(f"Training on {len(train)} of {rows} rows (--max-train-samples), drawn with seed {seed}.")
        is_drawn = True
    return Splits(train, validation, test, tuple(read.notes), is_drawn)


class _Reader:
    """Reads splits one after the other, and keeps what there is to say."""

    def __init__(self, config: DataConfig, spool_dir: str | None) -> None:
        self.notes: list[str] = []
        self._config = config
        self._spool_dir = spool_dir

    def __call__(self, sources: Sequence[Source], split: str, train: Examples | None = None) -> Examples:
        names = None if train is None else train.label_names
        examples, notes = read_sources(sources, self._config, split=split, label_names=names, spool_dir=self._spool_dir)
        self.notes += notes
        return examples

    def held_out(self, sources: Sequence[Source], split: str, train: Examples) -> Examples | None:
        """The validation or test data; None if there is none, or if it lies beside the training data unlabelled."""
        if not sources:
            return None
        try:
            return self(sources, split, train)
        except UnlabelledError as error:
            if getattr(self._config, split):
                raise
            self.notes.append(f"Ignored the {split} split: {error}")
            return None


def find_split_sources(config: DataConfig) -> dict[str, tuple[Source, ...]]:
    """The sources of each split: as given, else those of the training data that have the split."""
    if not config.data:
        check_options(config, ())
        train, test = sample_files()
        return {"train": find_sources([str(train)]), "validation": (), "test": find_sources([str(test)])}
    given = {
        "train": find_sources(config.data),
        "validation": find_sources(config.validation) if config.validation else (),
        "test": find_sources(config.test) if config.test else (),
    }
    check_options(config, {source.kind for sources in given.values() for source in sources})
    for split in ("validation", "test"):
        if not given[split]:
            given[split] = tuple(s for s in given["train"] if split in source_splits(s, config.data_dir))
    _refuse_double_use(given)
    return given


def _refuse_double_use(sources: dict[str, tuple[Source, ...]]) -> None:
    """Refuses one file or folder in two roles: what is trained on, or chosen by, cannot be a fair test."""
    role: dict[str, str] = {}
    for split, of_split in sources.items():
        for source in of_split:
            identity = source_identity(source, split)
            if role.setdefault(identity, split) != split:
                raise DataError(
                    f"{source.name}: would be both {role[identity]} and {split} data. Give the folder of one split "
                    "with --data, or other data with --validation and --test."
                )


def _refuse_split_options(config: DataConfig) -> None:
    default = next(field.default for field in dataclasses.fields(DataConfig) if field.name == "validation_split")
    vain = ["--validation-split"] if config.validation_split != default else []
    vain += ["--split-seed"] if config.split_seed is not None and config.max_train_samples is None else []
    if vain:
        raise ConfigError(
            f"Options without effect: {', '.join(vain)}, because there is validation data. Leave them out."
        )


def _split(train: Examples, config: DataConfig, seed: int, notes: list[str]) -> tuple[Examples, Examples]:
    kept, validation = split_examples(train, fraction=config.validation_split, seed=seed)
    notes.append(
        f"No validation data: held out {len(validation)} of {len(train)} training rows with seed {seed} "
        f"(--validation-split {config.validation_split:g})."
    )
    lacking = [name for name, rows in validation.label_counts.items() if not rows]
    if lacking:
        notes.append(f"Too few distinct texts to hold out any of {', '.join(map(repr, lacking))}.")
    return kept, validation
