"""A faster encoder over a BERT-like model's own variables: the real tokens alone, the same logits and gradients."""

from tf_finetune.model.unpadded.equality import check_equal
from tf_finetune.model.unpadded.fits import why_not
from tf_finetune.model.unpadded.sizes import choose_sizes, training_operations
from tf_finetune.model.unpadded.switch import (
    Unpadded,
    unpadded_encoder,
    use_model_encoder,
    use_unpadded_encoder,
)

__all__ = [
    "Unpadded",
    "check_equal",
    "choose_sizes",
    "training_operations",
    "unpadded_encoder",
    "use_model_encoder",
    "use_unpadded_encoder",
    "why_not",
]
