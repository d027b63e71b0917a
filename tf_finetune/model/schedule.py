"""The learning rate: a linear warm-up, then PolynomialDecay, counted in optimizer updates."""

from __future__ import annotations

from typing import Any

from tf_finetune.backend import keras, tf
from tf_finetune.config import FitConfig

__all__ = ["WarmUp", "make_schedule"]


@keras.utils.register_keras_serializable("tf_finetune")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Rises linearly from near 0 to a schedule's first value, then follows the schedule.

    Update `i` of `warmup_steps` (from 0) has the rate `(i + 1) / warmup_steps * schedule(0)`, so that the first update
    does not go to waste.

    Args:
        schedule: A `LearningRateSchedule` that begins after the warm-up.
        warmup_steps: Updates with a rising rate, at least 1.
    """

    def __init__(self, schedule: Any, warmup_steps: int) -> None:
        super().__init__()
        self.schedule = schedule
        self.warmup_steps = warmup_steps

    def __call__(self, step: Any) -> Any:
        step = tf.cast(step, tf.float32)
        warmup = tf.cast(self.warmup_steps, tf.float32)
        rising = (step + 1.0) / warmup * tf.cast(self.schedule(0), tf.float32)
        return tf.where(step < warmup, rising, tf.cast(self.schedule(tf.maximum(step - warmup, 0.0)), tf.float32))

    def get_config(self) -> dict[str, Any]:
        """Arguments from which the schedule can be made again."""
        schedule = keras.optimizers.schedules.serialize(self.schedule)
        return {"schedule": schedule, "warmup_steps": self.warmup_steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WarmUp:
        """Makes the schedule from `get_config`'s arguments."""
        schedule = keras.optimizers.schedules.deserialize(config["schedule"])
        return cls(schedule, config["warmup_steps"])


def make_schedule(
    *,
    updates: int,
    learning_rate: float = FitConfig.learning_rate,
    end_learning_rate: float = FitConfig.end_learning_rate,
    power: float = FitConfig.power,
    warmup_ratio: float = FitConfig.warmup_ratio,
) -> Any:
    """The learning rate of each update.

    Args:
        updates: Optimizer updates of the whole run.
        learning_rate: Rate after the warm-up. 5e-5 is the largest of the rates that Devlin et al. 2018, "BERT",
            appendix A.3, recommend for fine-tuning; small encoders such as MiniLM want the upper end.
        end_learning_rate: Rate when all updates are done.
        power: Power of the decay; 1 is linear.
        warmup_ratio: Share of the updates with a rising rate.

    Returns:
        `PolynomialDecay`, inside a `WarmUp` if the warm-up has at least one update.
    """
    warmup_steps = round(updates * warmup_ratio)
    decay = keras.optimizers.schedules.PolynomialDecay(
        initial_learning_rate=learning_rate,
        decay_steps=max(updates - warmup_steps, 1),
        end_learning_rate=end_learning_rate,
        power=power,
    )
    return WarmUp(decay, warmup_steps) if warmup_steps else decay
