"""Every option: its default, unit, range and help line, in one frozen dataclass a section.

Command-line options, YAML keys and the option table of the README are all made from these fields. `Config` stops at
the verbs (`fit(config)`); the functions below them take plain keyword arguments.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from tf_finetune.config.check import config_error, normalize_section
from tf_finetune.config.cross import cross_faults
from tf_finetune.config.option import option, options_of
from tf_finetune.config.renamed import renamed
from tf_finetune.config.save_every import AUTO
from tf_finetune.errors import ConfigError

__all__ = [
    "DEFAULT_MODEL",
    "RESUME_AUTO",
    "Config",
    "DataConfig",
    "ExportConfig",
    "FitConfig",
    "ModelConfig",
    "RunConfig",
    "TokensConfig",
]

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
RESUME_AUTO = "auto"
"""Value of ``--resume`` that goes on with what the output folder holds, and begins where that is nothing."""


class Section:
    """What the sections share: values are checked, and given their declared type, when the object is made."""

    def __post_init__(self) -> None:
        """Refuses wrong values.

        Raises:
            ConfigError: All faults of the section, one a line.
        """
        normalize_section(self)


@dataclass(frozen=True)
class DataConfig(Section):
    """Which labelled texts, and how to read them."""

    data: tuple[str, ...] = option(
        (),
        "Labelled texts: CSV, TSV, JSONL or Parquet files (also .gz), globs, a folder <split>/<label>/*.txt or "
        "<label>/*.txt, or tfds:NAME. Without it, the embedded sample of reviews.",
        metavar="PATH",
    )
    validation: tuple[str, ...] = option((), "Validation data, in the same forms.", metavar="PATH")
    test: tuple[str, ...] = option((), "Test data, scored once at the end and used for no choice.", metavar="PATH")
    data_dir: str | None = option(None, "Folder of prepared tensorflow-datasets, for tfds:NAME.", metavar="DIR")
    text_column: str | None = option(None, "Column of the text.", metavar="NAME")
    label_column: str | None = option(None, "Column of the label.", metavar="NAME")
    pair_column: str | None = option(None, "Column of the second sentence, for sentence pairs.", metavar="NAME")
    label_map: str | None = option(
        None,
        "Rename or group labels: '1,2,3=negative;7..10=positive'. An empty name leaves the rows out: '4..6='.",
        metavar="MAP",
    )
    encoding: str = option("utf-8", "Encoding of text files; a byte order mark is skipped.", metavar="NAME")
    tsv_quoting: str = option(
        "none", "Whether quotes in TSV files are text (none) or wrap fields as in CSV (csv).", choices=("none", "csv")
    )
    on_bad_row: str = option("error", "What to do about rows with an empty text or label.", choices=("error", "skip"))
    allow_leaks: bool = option(
        False, "Train though texts of one split are also in another, which makes scores look better than they are."
    )
    validation_split: float = option(
        0.1, "Share of the training rows held out when there is no validation data.", above=0.0, below=1.0
    )
    split_seed: int | None = option(
        None,
        "Seed of the rows that are held out, and of --max-train-samples. Default: that of --seed.",
        minimum=0,
        maximum=2**31 - 1,
    )
    max_train_samples: int | None = option(
        None, "Train on at most this many rows, drawn at random with all classes in proportion.", minimum=2
    )


@dataclass(frozen=True)
class TokensConfig(Section):
    """From texts to token ids."""

    max_length: int = option(256, "Longest input in tokens, special tokens included.", minimum=4)
    truncate: str = option(
        "head+tail",
        "Which part of a longer text is kept; head+tail keeps a quarter from the start and the rest from the end.",
        choices=("head", "tail", "head+tail"),
    )
    cache_dir: str | None = option(
        None,
        "Folder of cached texts and token tables. "
        "Default: $TF_FINETUNE_CACHE, or tf_finetune in the user's cache folder.",
        metavar="DIR",
    )


@dataclass(frozen=True)
class ModelConfig(Section):
    """Which pretrained encoder, and how it computes."""

    model: str = option(
        DEFAULT_MODEL, "Pretrained model: a local folder, a model folder of ours, or a hub name.", metavar="NAME"
    )
    encoder: str = option(
        "auto",
        "unpadded: compute on the real tokens alone; model: the model's own, with padding; auto: unpadded where it "
        "fits the model and was found equal on a few rows.",
        choices=("auto", "unpadded", "model"),
    )
    freeze: str | None = option(
        None,
        "Parts kept as they are: 'embeddings' and encoder layers by number, as in 'embeddings,0-3'.",
        metavar="PARTS",
    )
    precision: str = option(
        "float32",
        "Keras precision policy; the variables stay float32.",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
    )
    jit_compile: bool = option(
        False, "Compile training with XLA, for at most seven batch shapes; their lengths are chosen from the data."
    )
    devices: str = option(
        "auto",
        "auto: all GPUs, else the CPU; cpu; or gpu:0,1. More than one is a MirroredStrategy.",
        metavar="DEVICES",
    )


@dataclass(frozen=True)
class FitConfig(Section):
    """Loss, optimizer, schedule and stopping."""

    epochs: int = option(3, "Passes over the training data.", minimum=1)
    batch_size: int = option(16, "Rows a batch, over all devices together.", minimum=1)
    batching: str = option(
        "bucketed",
        "exact: random batches, each cut into micro-batches of similar length whose gradients are summed: the same "
        "update with little padding; bucketed: rows of similar length share a batch; plain: random batches, padded to "
        "the longest row.",
        choices=("exact", "bucketed", "plain"),
    )
    token_budget: int | None = option(
        None,
        "Bound on memory: cut batches into micro-batches of at most this many tokens on each device, padding included.",
        minimum=4,
    )
    gradient_accumulation: int = option(1, "Batches whose gradients are averaged into one update.", minimum=1)
    learning_rate: float = option(5e-5, "Learning rate after warm-up.", above=0.0)
    end_learning_rate: float = option(0.0, "Learning rate at the last update.", minimum=0.0)
    power: float = option(1.0, "Power of the PolynomialDecay; 1 is linear.", above=0.0)
    warmup_ratio: float = option(0.1, "Share of the updates with a rising learning rate.", minimum=0.0, below=1.0)
    weight_decay: float = option(
        0.0, "AdamW's decoupled weight decay, biases and layer norms excluded; 0 is Adam.", minimum=0.0
    )
    clip_norm: float = option(1.0, "Largest global norm of the gradients; 0 turns clipping off.", minimum=0.0)
    class_weights: str | None = option(
        None, "'balanced' (n / (classes * rows of the class)), or 'name=weight,...'.", metavar="WEIGHTS"
    )
    label_smoothing: float = option(0.0, "Probability mass spread evenly over all classes.", minimum=0.0, below=1.0)
    patience: int | None = option(
        None, "Stop after this many epochs without a better monitored value. Default: never.", minimum=1
    )
    monitor: str = option(
        "val_accuracy",
        "Value that picks the epoch whose weights are kept.",
        choices=("val_loss", "val_accuracy", "val_macro_f1"),
    )
    seed: int = option(42, "Seed of the split, the order, the new weights and dropout.", minimum=0, maximum=2**31 - 1)
    deterministic: bool | None = option(
        None, "Same seed, data and machine give the same weights. Default: on without a GPU, off with one."
    )
    tracker: tuple[str, ...] = option(
        (),
        "Where the run is watched: tensorboard (files in run/logs), mlflow (MLFLOW_TRACKING_URI says where) or wandb. "
        "Texts are shown in tensorboard alone.",
        choices=("tensorboard", "mlflow", "wandb"),
    )
    calibrate: bool = option(
        False,
        "Fit a temperature on the validation rows, which have chosen the epoch too, so that the probabilities of "
        "predictions and exports can be believed.",
    )
    threshold_for: str | None = option(
        None,
        "With --calibrate: call predictions uncertain below a probability that reaches precision=, recall= or "
        "coverage= on the validation rows, as in precision=0.95.",
        metavar="TARGET",
    )


@dataclass(frozen=True)
class ExportConfig(Section):
    """What follows training."""

    export: bool = option(True, "Write a SavedModel when training is complete.")


@dataclass(frozen=True)
class RunConfig(Section):
    """Where the results go, and how a run survives."""

    output: str | None = option(None, "Model folder. Default: saved_models/ and the name of the data.", metavar="DIR")
    overwrite: bool = option(False, "Replace the run that the model folder holds; its exports stay.")
    save_every: str = option(
        AUTO,
        "When to save what a killed run goes on from: 10m, 90s, 2h, 500steps, epoch, or several with commas. auto: "
        "every 10 minutes and after each epoch, for at most 1 % of the run's time.",
        metavar="WHEN",
    )
    max_hours: float | None = option(
        None, "Save and stop after this many hours, with exit code 75. Default: never.", above=0.0
    )
    resume: str | None = option(
        None,
        "Go on with the unfinished run of a model folder, by its own configuration; auto: with that of the output "
        "folder if there is one.",
        metavar="DIR",
    )
    force: bool = option(False, "Go on with a run although data, options or versions differ; what differs is recorded.")


@dataclass(frozen=True)
class Config:
    """The whole configuration of `fit`, one section a stage."""

    data: DataConfig = field(default_factory=DataConfig)
    tokens: TokensConfig = field(default_factory=TokensConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        """Refuses options that contradict each other, or that have no effect together.

        Raises:
            ConfigError: All faults, one a line.
        """
        for name, kind in get_type_hints(type(self)).items():
            if not isinstance(getattr(self, name), kind):
                raise ConfigError(f"Config.{name}: expected a {kind.__name__}. Received: {getattr(self, name)!r:.80}.")
        sections = [getattr(self, item.name) for item in dataclasses.fields(self)]
        values = {key: value for section in sections for key, value in vars(section).items()}
        table = {key: entry for section in sections for key, entry in options_of(type(section)).items()}
        faults = cross_faults(values, table)
        if faults:
            raise config_error(faults)

    @classmethod
    def from_dict(cls, sections: Mapping[str, Mapping[str, Any]]) -> Config:
        """The configuration that `to_dict` was called on.

        Raises:
            ConfigError: `sections` is no such dictionary, or holds wrong values.
        """
        kinds = get_type_hints(cls)
        try:
            return cls(**{name: kinds[name](**renamed(name, values)) for name, values in sections.items()})
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"These are no sections of a configuration: {error!r:.80}.") from error

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Plain sections of plain values, as in the YAML file; tuples become lists."""
        sections = dataclasses.asdict(self)
        return {
            name: {key: list(value) if isinstance(value, tuple) else value for key, value in section.items()}
            for name, section in sections.items()
        }
