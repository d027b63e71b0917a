"""`named_gpus`: what ``--devices`` names, read without TensorFlow."""

from __future__ import annotations

import re

from tf_finetune.errors import ConfigError

__all__ = ["named_gpus"]


def named_gpus(devices: str) -> tuple[int, ...]:
    """Numbers of the GPUs that a value of ``--devices`` names, each once; none for ``auto`` and ``cpu``.

    Args:
        devices: ``auto``, ``cpu``, or a list as in ``gpu:0,1``.

    Raises:
        ConfigError: It is none of them.
    """
    if devices in ("auto", "cpu"):
        return ()
    if not re.fullmatch(r"gpu:\s*[0-9]{1,4}\s*(,\s*[0-9]{1,4}\s*)*", devices):
        raise ConfigError(f"--devices takes auto, cpu or a list as in gpu:0,1. Received: {devices!r:.80}.")
    return tuple(dict.fromkeys(int(part) for part in devices[4:].split(",")))
