"""`make_folds`: rows to folds, stratified, seeded, and never one text in two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_finetune.data import Examples, split_examples
from tf_finetune.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ALWAYS_TRAINED", "make_folds"]

ALWAYS_TRAINED = -1
"""In place of a fold, for rows that no model can answer for without having seen them."""


def make_folds(examples: Examples, *, folds: int, seed: int) -> np.ndarray:
    """Deals rows into folds of equal size, one split after the other.

    Each split holds out its share of what is left, as `split_examples` does: each class in proportion, rows with the
    same text (and pair) together, the same for the same texts and seed.

    Args:
        examples: `n` labelled rows.
        folds: How many, 2 or more.
        seed: Of the splits.

    Returns:
        int64 `[n]`, a fold from 0 for each row. Rows of a class with a single text get `ALWAYS_TRAINED`: without it in
        the training data, a model would not know the class.

    Raises:
        ConfigError: `folds` is below 2.
        DataError: There are fewer than two classes with two texts, or some class has too few texts of its own.
    """
    import numpy as np

    if folds < 2:
        raise ConfigError(f"`folds` must be 2 or more. Received: {folds}.")
    places = np.full(len(examples), ALWAYS_TRAINED, np.int64)
    left = _of_classes_with_texts(examples)
    for fold in range(folds - 1):
        part = examples.take(left)
        # the rows of a part keep their numbers in the table, which tell where they are in the whole
        held_out = split_examples(part, fraction=1 / (folds - fold), seed=seed)[1]
        is_held_out = np.isin(part.rows, held_out.rows)
        places[left[is_held_out]] = fold
        left = left[~is_held_out]
    places[left] = folds - 1
    return places


def _of_classes_with_texts(examples: Examples) -> np.ndarray:
    """Indices of the rows whose class has two different texts at least."""
    import numpy as np

    texts = examples.row_hashes.view("S16")
    enough = [
        label for label in range(len(examples.label_names)) if len(np.unique(texts[examples.labels == label])) >= 2
    ]
    if len(enough) < 2:
        raise DataError("To look for label errors, two classes at least must have two different texts. Give more rows.")
    return np.flatnonzero(np.isin(examples.labels, enough))
