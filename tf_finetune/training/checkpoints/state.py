"""`TrainingState`: every variable that a run is gone on with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from tf_finetune.backend import keras

__all__ = ["TrainingState"]


class TrainingState:
    """Weights, optimizer, metrics and dropout of a compiled model.

    Args:
        model: A model that was compiled and built, so that all its variables are there.
        dropout: Variables of dropout's state.
    """

    def __init__(self, model: Any, dropout: Sequence[Any] = ()) -> None:
        self.model = model
        self.dropout = tuple(dropout)
        with model.distribute_strategy.scope():  # on every replica
            model.optimizer.build(model.trainable_variables)

    def variables(self) -> dict[str, Any]:
        """Every variable by a name that follows from its place: ``weights/3``, ``optimizer/0``."""
        metrics = [variable for metric in self.model.metrics for variable in metric.variables]
        groups = {
            "weights": self.model.weights,
            "optimizer": self._optimizer_variables(),
            "metrics": metrics,
            "dropout": self.dropout,
        }
        return {f"{group}/{i}": variable for group, those in groups.items() for i, variable in enumerate(those)}

    def read(self) -> dict[str, Any]:
        """The value of every variable by name, as tensors."""
        return {name: variable.read_value() for name, variable in self.variables().items()}

    @property
    def size(self) -> int:
        """Bytes of all variables."""
        return sum(variable.shape.num_elements() * variable.dtype.size for variable in self.variables().values())

    def assign(self, values: Mapping[str, Any]) -> None:
        """Gives every variable its value back; metrics alone may be missing."""
        for name, variable in self.variables().items():
            if name in values or not name.startswith("metrics/"):
                variable.assign(values[name])

    def count(self, updates: int) -> None:
        """Sets how many updates the optimizer has counted, which the schedule goes by."""
        self.model.optimizer.iterations.assign(updates)

    def optimizer_sha256(self) -> str:
        """SHA-256 over the optimizer's variables, its count of updates among them."""
        digest = hashlib.sha256()
        for variable in self._optimizer_variables():
            digest.update(variable.numpy().tobytes())
        return digest.hexdigest()

    def _optimizer_variables(self) -> list[Any]:
        """The optimizer's; with float16 the loss scale and its count too, which Keras leaves out."""
        optimizer = self.model.optimizer
        if not isinstance(optimizer, keras.mixed_precision.LossScaleOptimizer):
            return list(optimizer.variables)
        return [*optimizer.variables, optimizer._loss_scale.current_loss_scale, optimizer.dynamic_counter]
