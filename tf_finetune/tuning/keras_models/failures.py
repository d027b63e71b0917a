"""What stops a search, and what fails one trial alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tf_finetune.backend import error_words, tf
from tf_finetune.errors import FinetuneError
from tf_finetune.tuning.keras_tuner import load_keras_tuner

__all__ = ["sorted_failures"]

kt: Any = load_keras_tuner()

MISTAKES = (
    *(TypeError, ValueError, LookupError, AttributeError, NameError, AssertionError),
    *(ImportError, OSError, FinetuneError),
)
"""What would fail for other values of the hyperparameters too, most likely."""


@contextlib.contextmanager
def sorted_failures() -> Iterator[None]:
    """Makes mistakes stop the search, and lack of memory fail the trial; keras-tuner fails it for all else.

    Raises:
        keras_tuner.errors.FatalTypeError: For a TypeError.
        keras_tuner.errors.FatalValueError: For a ValueError, which most of our own errors are.
        keras_tuner.errors.FatalRuntimeError: For other mistakes.
        keras_tuner.errors.FailedTrialError: The memory does not suffice.
    """
    try:
        yield
    except kt.errors.FatalError:
        raise
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise kt.errors.FailedTrialError(f"The memory does not suffice: {error_words(error)}") from error
    except MISTAKES as error:
        words = f"{type(error).__name__}: {error}"
        if isinstance(error, TypeError):
            raise kt.errors.FatalTypeError(words) from error
        if isinstance(error, ValueError):
            raise kt.errors.FatalValueError(words) from error
        raise kt.errors.FatalRuntimeError(words) from error
