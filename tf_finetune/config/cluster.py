"""`Cluster`: the workers that train together, as the environment variable ``TF_CONFIG`` names them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tf_finetune.errors import ConfigError

__all__ = ["Cluster", "read_cluster"]

VARIABLE = "TF_CONFIG"
KINDS = ("chief", "worker")
EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """Several processes that train one model together.

    Attributes:
        addresses: ``host:port`` of each, the chief first.
        index: Which of them this process is.
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run."""
        return self.index == 0


def read_cluster(environment: Mapping[str, str] | None = None) -> Cluster | None:
    """The cluster that ``TF_CONFIG`` names; None without it, and for a cluster of one.

    Args:
        environment: Environment variables; those of the process by default.

    Raises:
        ConfigError: Its value is no JSON of the form that TensorFlow documents, or has other tasks than workers.
    """
    text = (os.environ if environment is None else environment).get(VARIABLE)
    if not text:
        return None
    try:
        value = json.loads(text)
        cluster, task = value.get("cluster") or {}, value.get("task") or {}
        lists = {kind: _addresses(cluster.get(kind, [])) for kind in KINDS}
        others = sorted(set(cluster) - set(KINDS))
        if not isinstance(task.get("index", 0), int):
            raise TypeError("the index of the task is no whole number")
        place, kind = int(task.get("index", 0)), task.get("type", "worker")
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{VARIABLE} is not of the form {EXAMPLE}: {error}. Received: {text:.200}") from error
    if others:
        raise ConfigError(f"{VARIABLE} names tasks of the kind {', '.join(others)}; only chief and worker train here.")
    addresses = lists["chief"] + lists["worker"]
    if len(addresses) < 2:
        return None
    if kind not in KINDS or not 0 <= place < len(lists[kind]):
        raise ConfigError(f"{VARIABLE}: there is no task {kind!r} {place} in the cluster {cluster}.")
    return Cluster(addresses, place + (len(lists["chief"]) if kind == "worker" else 0))


def _addresses(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and ":" in item for item in value):
        raise TypeError(f"expected a list of host:port, received {value!r:.80}")
    return tuple(value)
