"""`Prepared`: all that training needs, and what there is to say of it beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tf_finetune.config import Config
from tf_finetune.tokens.cuts import Cuts
from tf_finetune.tokens.lengths import LengthReport
from tf_finetune.tokens.pipeline import make_dataset
from tf_finetune.tokens.shapes import FewShapes
from tf_finetune.tokens.table import TokenTable
from tf_finetune.training.encoder import EncoderChoice
from tf_finetune.training.workers import Workers

__all__ = ["Prepared", "Shapes"]


@dataclass(frozen=True)
class Shapes:
    """The batch shapes that XLA compiles.

    Attributes:
        training: Of the training rows.
        validation: Of the validation rows.
    """

    training: FewShapes
    validation: FewShapes

    @property
    def line(self) -> str:
        """All of them in words."""
        parts = {"training": self.training.shapes, "validation": self.validation.shapes}
        words = [f"{name} {', '.join(f'{n} x {length}' for n, length in part)}" for name, part in parts.items()]
        count = sum(map(len, parts.values()))
        return f"XLA: at most {count} batch shapes to compile (rows x tokens: {'; '.join(words)})"


@dataclass(frozen=True)
class Prepared:
    """All that training needs.

    Attributes:
        tokenizer: The fast tokenizer.
        train: Training rows.
        validation: Validation rows.
        test: Test rows, or None.
        model: The compiled model.
        spec: Its inputs.
        strategy: Where it lives.
        rows_per_update: Rows of one optimizer update.
        steps_per_epoch: Updates an epoch.
        class_weight: Class index to weight, or None.
        encoder: Which encoder computes.
        cuts: How batches are cut by length into micro-batches.
        shapes: The only shapes of batches, with XLA; else None.
        lengths: Report on the training rows.
        deterministic: Whether deterministic kernels are on.
        dropout: Variables of dropout's state.
        workers: Who trains together.
    """

    tokenizer: Any
    train: TokenTable
    validation: TokenTable
    test: TokenTable | None
    model: Any
    spec: dict[str, Any]
    strategy: Any
    rows_per_update: int
    steps_per_epoch: int
    class_weight: dict[int, float] | None
    encoder: EncoderChoice
    cuts: Cuts
    shapes: Shapes | None
    lengths: LengthReport
    deterministic: bool
    dropout: tuple[Any, ...]
    workers: Workers

    def lines(self, config: Config) -> list[str]:
        """Lengths, padding, steps and schedule, a line each."""
        fit, updates = config.fit, self.steps_per_epoch * config.fit.epochs
        return [
            self.encoder.line,
            *([self.shapes.line] if self.shapes else []),
            *self.lengths.lines(),
            f"steps: {fit.epochs} epochs of {self.steps_per_epoch} updates of {self.rows_per_update} rows",
            f"schedule: learning rate to {fit.learning_rate:g} in {round(updates * fit.warmup_ratio)} updates, "
            f"then to {fit.end_learning_rate:g} at update {updates}",
        ]

    def training_dataset(self, config: Config, *, start: int = 0, epochs: int | None = None) -> Any:
        """Batches of the first `epochs` (of all by default), without the first `start` batches."""
        return make_dataset(
            self.train,
            self.spec,
            batch_size=self.rows_per_update,
            order=config.fit.batching,
            seed=config.fit.seed,
            epochs=config.fit.epochs if epochs is None else epochs,
            start=start,
            share=self.workers.share,
            shapes=self.shapes.training if self.shapes else None,
        )

    def validation_dataset(self, config: Config) -> Any:
        """Batches of the validation rows, shortest first."""
        return make_dataset(
            self.validation,
            self.spec,
            batch_size=config.fit.batch_size,
            order="length",
            share=self.workers.share,
            shapes=self.shapes.validation if self.shapes else None,
        )
