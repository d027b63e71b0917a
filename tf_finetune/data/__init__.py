"""Text in: readers for files, folders and tfds names, splits and samples.

Importing this package loads no NumPy, pyarrow or TensorFlow; reading data does.
"""

from __future__ import annotations

from tf_finetune.data.columns import resolve_label_column, resolve_text_columns
from tf_finetune.data.examples import Examples
from tf_finetune.data.label_map import LabelMap, parse_label_map
from tf_finetune.data.load import Splits, load_splits, sample_files
from tf_finetune.data.options import check_options
from tf_finetune.data.read import read_examples
from tf_finetune.data.readers import source_kinds
from tf_finetune.data.rows import RowSource, read_rows
from tf_finetune.data.sampling import sample_examples
from tf_finetune.data.splits import split_examples

__all__ = [
    "Examples",
    "LabelMap",
    "RowSource",
    "Splits",
    "check_options",
    "load_splits",
    "parse_label_map",
    "read_examples",
    "read_rows",
    "resolve_label_column",
    "resolve_text_columns",
    "sample_examples",
    "sample_files",
    "source_kinds",
    "split_examples",
]
