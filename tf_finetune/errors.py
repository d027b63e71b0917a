"""Every error that this package raises on purpose.

FinetuneError            base class: catch this one to catch them all
├── ConfigError          an option or a configuration file is wrong (exit code 2)
├── DataError            labelled texts cannot be read, or cannot be used as they are
├── TokenizerError       a tokenizer cannot be used, or does not do what it says
├── ModelError           a checkpoint is unsafe, incomplete, or not a TensorFlow text classifier
├── LossError            the loss, the optimizer or the callbacks do not fit the model
├── RunError             a model folder is unfinished, occupied, or not one of ours
├── TrainingStopped      training was stopped on purpose and can be gone on with (exit code 130 or 75)
├── TuningError          a search cannot be begun or gone on with, or no trial of it was completed
├── ExportError          a SavedModel could not be written, or differs from the model
├── ServingError         a server does not answer as it should, or versions cannot be served as asked
└── DependencyError      an installed package is missing or cannot be used together with ours

Each message says what was expected, what was received, where (file, row, flag), and what to do next.
Those about values are also ``ValueError``, so that library callers may catch either.
"""

__all__ = [
    "ConfigError",
    "DataError",
    "DependencyError",
    "ExportError",
    "FinetuneError",
    "LossError",
    "ModelError",
    "RunError",
    "ServingError",
    "TokenizerError",
    "TrainingStopped",
    "TuningError",
]


class FinetuneError(Exception):
    """Base class of all errors that tf_finetune raises on purpose."""


class ConfigError(FinetuneError, ValueError):
    """An option, a configuration key or a value is wrong; lists all faults that were found."""


class DataError(FinetuneError, ValueError):
    """Labelled texts cannot be read, or cannot be used as they are."""


class TokenizerError(FinetuneError, ValueError):
    """A tokenizer cannot be used, or does not do what it says."""


class ModelError(FinetuneError, ValueError):
    """A checkpoint is unsafe, incomplete, or no TensorFlow text classifier."""


class LossError(FinetuneError, ValueError):
    """The loss, the optimizer or the callbacks do not fit the model."""


class RunError(FinetuneError):
    """A model folder is unfinished, occupied, or not one of ours."""


class TrainingStopped(FinetuneError):
    """Training was stopped on purpose; the message says how to go on.

    Attributes:
        exit_code: 130 after Ctrl-C; 75 (EX_TEMPFAIL) after SIGTERM and at a time limit.
    """

    def __init__(self, message: str = "", *, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class TuningError(FinetuneError):
    """A search cannot be begun or gone on with, or no trial of it was completed."""


class ExportError(FinetuneError):
    """A SavedModel could not be written, or differs from the model it came from."""


class ServingError(FinetuneError):
    """A model server does not answer as it should, or versions of a model cannot be served as asked."""


class DependencyError(FinetuneError, ImportError):
    """An installed package is missing, or cannot be used together with this one."""
