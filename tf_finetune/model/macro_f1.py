"""`MacroF1`: the Keras metric that `val_macro_f1` is made with."""

from __future__ import annotations

from typing import Any

from tf_finetune.backend import keras, tf

__all__ = ["MacroF1"]


class MacroF1(keras.metrics.Metric):  # type: ignore[misc]
    """Unweighted mean of the F1 scores of all classes, from logits.

    As scikit-learn's ``f1_score(average="macro", zero_division=0)`` with all labels given: a class that neither occurs
    nor is predicted counts 0.

    Args:
        labels: Number of classes.
        name: Name in the history.
    """

    def __init__(self, labels: int, *, name: str = "macro_f1") -> None:
        super().__init__(name=name, dtype="float32")
        self.labels = labels
        self.confusion = self.add_weight("confusion", shape=(labels, labels), initializer="zeros", dtype=tf.int64)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Counts a batch; weights of rows are left out of account, as in the scores.

        Args:
            y_true: Class indices, int `[batch]` or `[batch, 1]`.
            y_pred: Logits, float `[batch, labels]`.
            sample_weight: Not used.
        """
        predicted = tf.argmax(y_pred, axis=-1)
        true = tf.reshape(tf.cast(y_true, tf.int64), [-1])
        counts = tf.math.bincount(
            tf.cast(true * self.labels + predicted, tf.int32),
            minlength=self.labels**2,
            maxlength=self.labels**2,
            dtype=tf.int64,
        )
        return self.confusion.assign_add(tf.reshape(counts, self.confusion.shape))

    def result(self) -> Any:
        """The score of all batches, float32 scalar."""
        found = tf.cast(tf.linalg.diag_part(self.confusion), tf.float64)
        sizes = tf.cast(tf.reduce_sum(self.confusion, 0) + tf.reduce_sum(self.confusion, 1), tf.float64)
        return tf.cast(tf.reduce_mean(tf.math.divide_no_nan(2.0 * found, sizes)), tf.float32)

    def reset_state(self) -> None:
        """Forgets what was counted; Keras' own takes each variable for a number."""
        self.confusion.assign(tf.zeros_like(self.confusion))

    def get_config(self) -> dict[str, Any]:
        """Arguments to make the metric with."""
        return {"labels": self.labels, "name": self.name}
