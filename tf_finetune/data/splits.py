"""The split into training and validation data: stratified, seeded, and never one text on both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_finetune.data.examples import Examples
from tf_finetune.data.sampling import mix
from tf_finetune.errors import DataError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["split_examples"]


def split_examples(examples: Examples, *, fraction: float, seed: int) -> tuple[Examples, Examples]:
    """Splits off validation data; the rows of both sides keep their order.

    Rows with the same text (and pair) go to the same side together. Each class gives `fraction` of its rows, as near as
    its duplicates allow; each keeps a row in the training data, and each with two or more distinct texts has one in the
    validation data. Which texts are drawn depends on the texts and the seed only, not on the order of the rows.

    Args:
        examples: labelled rows.
        fraction: share of the rows for validation, above 0 and below 1.
        seed: the same seed and rows give the same split, on every machine.

    Returns:
        (training data, validation data)

    Raises:
        DataError: No such split exists.
    """
    import numpy as np

    if not 0 < fraction < 1:
        raise DataError(f"`fraction` must be above 0 and below 1. Received: {fraction}.")
    if (examples.labels < 0).any():
        raise DataError("A stratified split needs labelled rows. Received rows without labels.")
    texts = _Texts(examples, seed=seed)
    held_out = np.zeros(texts.count, dtype=bool)
    for label in range(len(examples.label_names)):
        held_out[texts.draw(label, fraction)] = True
    texts.repair(held_out)
    texts.check(held_out)
    side = held_out[texts.of_row]
    return examples.take(np.flatnonzero(~side)), examples.take(np.flatnonzero(side))


class _Texts:
    """The distinct texts of `examples`, each with the classes that its rows have.

    Attributes:
        count: distinct texts, `t`.
        of_row: text of each row, int64 `[n]`.
    """

    def __init__(self, examples: Examples, *, seed: int) -> None:
        import numpy as np

        classes = len(examples.label_names)
        hashes, self.of_row, sizes = np.unique(examples.row_hashes.view("S16"), return_inverse=True, return_counts=True)
        self.count = len(hashes)
        self._names = examples.label_names
        self._sizes = sizes
        self._ranks = mix(hashes.view("<u8").reshape(-1, 2)[:, 0].astype(np.uint64), seed=seed)
        pairs, rows = np.unique(self.of_row * classes + examples.labels, return_counts=True)
        # (text, class) for every class that a text occurs with: nearly always one
        self._text, self._label = pairs // classes, pairs % classes
        by_share = np.lexsort((self._label, -rows, self._text))
        first = np.unique(self._text[by_share], return_index=True)[1]
        self._stratum = self._label[by_share][first]
        self._rows = np.bincount(self._stratum, weights=sizes, minlength=classes)
        texts = np.bincount(self._label, minlength=classes)
        # a class needs one text in the training data, and with two or more also one in the validation data
        self._needed = np.stack([texts >= 1, texts >= 2]).astype(np.int64)

    def draw(self, label: int, fraction: float) -> list[int]:
        """Texts of the stratum `label` for validation, in random order until they make `fraction` of its rows."""
        import numpy as np

        texts = np.flatnonzero(self._stratum == label)
        if len(texts) < 2:
            return []
        texts = texts[np.argsort(self._ranks[texts], kind="stable")]
        wanted = max(1, round(fraction * self._rows[label]))
        drawn: list[int] = []
        for text, size in zip(texts.tolist(), self._sizes[texts].tolist(), strict=True):
            if size <= wanted and len(drawn) < len(texts) - 1:
                drawn.append(text)
                wanted -= size
            if not wanted:
                break
        # every text is a crowd of duplicates: take the smallest
        return drawn or [int(texts[np.argmin(self._sizes[texts])])]

    def repair(self, held_out: np.ndarray) -> None:
        """Moves single texts where a class lacks a row on one side (because its texts occur with other classes too)."""
        import numpy as np

        there = self._there(held_out)
        for side in (0, 1):
            for label in np.flatnonzero(there[side] < self._needed[side]):
                for text in self._text[self._label == label].tolist():
                    labels = self._label[slice(*np.searchsorted(self._text, [text, text + 1]))]
                    if (there[1 - side][labels] > self._needed[1 - side][labels]).all():
                        held_out[text] = bool(side)
                        there = self._there(held_out)
                        break

    def check(self, held_out: np.ndarray) -> None:
        """Refuses a split that leaves a class without rows on a side where it must have some."""
        import numpy as np

        if not held_out.any():
            raise DataError(
                "No validation data can be split off: every class has only one distinct text. "
                "Give more rows, or validation data with --validation."
            )
        lacking = np.flatnonzero((self._there(held_out) < self._needed).any(axis=0))
        if len(lacking):
            raise DataError(
                f"No split has rows of {', '.join(repr(self._names[label]) for label in lacking)} on both sides: "
                "too many texts occur with several labels. Correct them, or give validation data with --validation."
            )

    def _there(self, held_out: np.ndarray) -> np.ndarray:
        """Texts of each class in the training (row 0) and the validation data (row 1), int64 `[2, classes]`."""
        import numpy as np

        of_pair = held_out[self._text]
        classes = len(self._names)
        return np.stack([np.bincount(self._label[of_pair == side], minlength=classes) for side in (False, True)])
