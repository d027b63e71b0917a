"""The one door to keras-tuner."""

from __future__ import annotations

import functools
import importlib
import os
import warnings
from typing import Any

from tf_finetune.backend import VERBOSE, quiet_stderr
from tf_finetune.errors import DependencyError

__all__ = ["load_keras_tuner"]

NEEDED = ("scipy.optimize", "sklearn.gaussian_process", "keras_tuner")
"""What a search needs; keras-tuner itself misses the first two no earlier than a Bayesian search begins."""


@functools.cache
def load_keras_tuner() -> Any:
    """Imports keras-tuner, without its chatter, after TensorFlow was bound to tf_keras.

    keras-tuner imports Keras 3 for its own use, which computes with TensorFlow here unless ``KERAS_BACKEND`` says
    otherwise. Nothing of Keras 3 comes near our models.

    Raises:
        DependencyError: keras-tuner, scipy or scikit-learn is not installed, or cannot be imported.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with quiet_stderr(), warnings.catch_warnings():
        if not VERBOSE:
            warnings.simplefilter("ignore")
        try:
            return [importlib.import_module(name) for name in NEEDED][-1]
        except ImportError as error:
            raise DependencyError(
                f"Tuning needs keras-tuner, scipy and scikit-learn: {error}. "
                "Install them: pip install 'keras-tuner>=1.4.8,<1.5' scipy scikit-learn"
            ) from error
