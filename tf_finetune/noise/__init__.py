"""Labels that are likely wrong, by what models say that have not seen them."""

from tf_finetune.noise.confident import confident_joint, confident_learning
from tf_finetune.noise.find import find_label_errors
from tf_finetune.noise.label_errors import LabelError, LabelErrors, write_label_errors

__all__ = [
    "LabelError",
    "LabelErrors",
    "confident_joint",
    "confident_learning",
    "find_label_errors",
    "write_label_errors",
]
