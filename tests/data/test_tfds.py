from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tf_finetune.backend import load_tfds
from tf_finetune.config import DataConfig
from tf_finetune.data import load_splits, read_examples
from tf_finetune.errors import DataError

tfds = load_tfds()

Rows = Callable[..., list[tuple[str, str]]]


class TinyFilmReviews(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc, name-defined]
    """Twelve rows to train on; the test split has no labels."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> Any:
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "sentence": tfds.features.Text(),
                    "other": tfds.features.Text(),
                    "label": tfds.features.ClassLabel(names=["worse", "middling", "better"]),
                    "stars": np.int32,
                    "seen": np.bool_,
                    "score": np.float32,
                    "words": tfds.features.Sequence(tfds.features.Text()),
                    "image": tfds.features.Image(shape=(2, 2, 3)),
                }
            ),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        counts = {"train": 12, "validation": 4, "test": 3, "unsupervised": 2}
        return {split: self._generate_examples(split, count) for split, count in counts.items()}

    def _generate_examples(self, split: str, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
        for i in range(count):
            yield (
                i,
                {
                    "sentence": f"{split} ünd {i}",
                    "other": f"other {i}",
                    "label": 2 * (i % 2) if split in ("train", "validation") else -1,
                    "stars": 10 - i % 2,
                    "seen": i % 2 == 0,
                    "score": 0.5,
                    "words": ["a"],
                    "image": np.zeros((2, 2, 3), dtype=np.uint8),
                },
            )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("prepared")
    TinyFilmReviews(data_dir=folder).download_and_prepare()
    return str(folder)


NAME = "tfds:tiny_film_reviews"


def test_class_labels_keep_their_names_and_order(data_dir: str, rows_of: Rows) -> None:
    examples = read_examples([NAME], text_column="sentence", data_dir=data_dir)
    assert examples.label_names == ("worse", "better")
    assert len(examples) == 12
    assert all(text.startswith("train ünd ") for text in examples.texts())
    assert {(text.split()[-1] in "13579", name) for text, name in rows_of(examples) if len(text.split()[-1]) == 1} == {
        (True, "better"),
        (False, "worse"),
    }
    assert examples.where(0) == f"{NAME}[train]:1"


def test_rows_come_in_the_same_order_every_time(data_dir: str) -> None:
    first, again = (read_examples([NAME], data_dir=data_dir).fingerprint for _ in range(2))
    assert first == again


def test_other_columns_can_be_text_pair_and_label(data_dir: str) -> None:
    examples = read_examples(
        [NAME], text_column="other", pair_column="sentence", label_column="stars", data_dir=data_dir
    )
    assert examples.label_names == ("9", "10")
    assert examples.has_pairs
    assert read_examples([NAME], label_column="seen", data_dir=data_dir).label_names == ("false", "true")


def test_labels_can_be_mapped(data_dir: str) -> None:
    examples = read_examples([NAME], data_dir=data_dir, label_map="worse=z;better=a")
    assert examples.label_names == ("a", "z")


def test_only_strings_are_texts(data_dir: str, refusal: Callable[..., str]) -> None:
    message = refusal(NAME, text_column="stars", data_dir=data_dir)
    assert message == f"{NAME}[train]: --text-column: 'stars' holds no strings. Those that do: 'sentence', 'other'."
    assert "there is no column 'image'" in refusal(NAME, text_column="image", data_dir=data_dir)
    assert "a label must be a string, an integer" in refusal(NAME, label_column="score", data_dir=data_dir)
    assert "there is no column 'words'" in refusal(NAME, label_column="words", data_dir=data_dir)


def test_splits_are_found_and_the_unlabelled_one_is_ignored(data_dir: str) -> None:
    splits = load_splits(DataConfig(data=(NAME,), data_dir=data_dir), seed=0)
    assert (len(splits.train), len(splits.validation), splits.test) == (12, 4, None)
    assert splits.validation.label_names == splits.train.label_names
    assert splits.notes == (
        f"{NAME}: ignored the splits unsupervised.",
        "Ignored the test split: tfds:tiny_film_reviews[test]: none of the 3 rows has a label.",
    )


def test_an_unlabelled_split_that_was_asked_for_is_refused(data_dir: str) -> None:
    with pytest.raises(DataError, match="none of the 3 rows has a label"):
        load_splits(DataConfig(data=(NAME,), test=(NAME,), data_dir=data_dir), seed=0)
    unlabelled = read_examples([NAME], split="test", labelled=False, data_dir=data_dir)
    assert unlabelled.labels.tolist() == [-1, -1, -1]


def test_a_data_set_that_is_not_there_says_what_to_do(refusal: Callable[..., str], tmp_path: Path) -> None:
    message = refusal("tfds:no_such_data_set_here", data_dir=str(tmp_path))
    assert message.startswith("tfds:no_such_data_set_here: tensorflow-datasets cannot read it (DatasetNotFoundError")
    assert "--data-dir" in message
    assert message.endswith("tfds build no_such_data_set_here")


def test_a_damaged_copy_is_refused(data_dir: str, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(data_dir, copy)
    for file in copy.rglob("*train*.tfrecord*"):
        file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(DataError, match="tensorflow-datasets cannot read it"):
        read_examples([NAME], data_dir=str(copy))


def test_tfds_does_not_chatter(data_dir: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="absl")
    read_examples([NAME], data_dir=data_dir)
    assert not [record for record in caplog.records if record.name == "absl"]


def test_data_without_labels_is_named_with_its_split(data_dir: str) -> None:
    with pytest.raises(DataError, match=r"^tfds:tiny_film_reviews\[test\]: none of the 3 rows has a label"):
        read_examples([NAME], split="test", data_dir=data_dir)
