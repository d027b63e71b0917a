"""What a run was made with: versions, machine, command line, data."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

from tf_finetune.backend import gpus, tf
from tf_finetune.data import Splits
from tf_finetune.model.checkpoint import Checkpoint
from tf_finetune.training.machine import versions

__all__ = ["describe_environment"]

PACKAGES = ("tf_finetune", "tensorflow", "tf_keras", "transformers", "tokenizers", "safetensors", "numpy", "pyarrow")


def describe_environment(splits: Splits, checkpoint: Checkpoint, *, deterministic: bool) -> dict[str, Any]:
    """Everything beside the configuration that a run's result depends on.

    Args:
        splits: The data.
        checkpoint: The pretrained model.
        deterministic: Whether deterministic kernels were switched on.

    Returns:
        Plain JSON types.
    """
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return {
        "versions": versions(PACKAGES),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "gpus": len(gpus()),
        "intra_op_threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "command": list(sys.argv),
        "deterministic": deterministic,
        "model": {"name": checkpoint.name, "source": checkpoint.source, "architecture": checkpoint.model_type},
        "data": {
            name: {"rows": len(part), "label_counts": part.label_counts, "sha256": part.fingerprint}
            for name, part in parts.items()
            if part is not None
        },
    }
