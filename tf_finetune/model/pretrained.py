"""`load_model`: a checked checkpoint as a Keras text classifier with named classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tf_finetune.backend import precision_policy, tf, transformers
from tf_finetune.errors import ModelError
from tf_finetune.model.architectures import (
    EQUIVALENT,
    RESERVED_POSITIONS,
    check_architecture,
    check_length,
    check_settings,
)
from tf_finetune.model.checkpoint import Checkpoint
from tf_finetune.model.loading_report import check_report

__all__ = ["count_parameters", "known_architectures", "load_model"]


def known_architectures() -> list[str]:
    """Every model_type with a TensorFlow class for sequence classification in the installed transformers."""
    from transformers.models.auto.modeling_tf_auto import TF_MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as NAMES

    return list(NAMES)


def load_model(
    checkpoint: Checkpoint,
    tokenizer: Any,
    *,
    label_names: Sequence[str],
    max_length: int | None = None,
    precision: str = "float32",
    jit_compile: bool = False,
    complete: bool = False,
) -> Any:
    """Loads a TFAutoModelForSequenceClassification with one logit for each label.

    Weights that the checkpoint lacks (the classification head, as a rule) are initialised afresh and named in the log.

    Args:
        checkpoint: From `resolve_model` or `open_checkpoint`.
        tokenizer: Its tokenizer; gives the padding id where the checkpoint has none.
        label_names: Class names in index order; become `id2label` and `label2id`.
        max_length: Longest input, checked against the model's positions.
        precision: Keras dtype policy of the layers.
        jit_compile: Whether the model will be compiled with XLA; only checked here.
        complete: Whether the checkpoint must have every weight, the head included: a trained classifier.

    Returns:
        A Keras model from int32 `[batch, length]` inputs to logits `[batch, labels]`.

    Raises:
        ModelError: The architecture has no TensorFlow class, the settings break it, the tokenizer does not fit, or
            the weights do not fit config.json.
    """
    check_architecture(checkpoint.config.get("model_type"), known_architectures())
    check_settings(checkpoint.model_type, precision=precision, jit_compile=jit_compile)
    check_length(checkpoint.config, max_length, name=checkpoint.name)
    config = _make_config(checkpoint, tokenizer, label_names)
    with precision_policy(precision):
        model, report = _load_weights(checkpoint, config)
    check_report(model, report, checkpoint, complete=complete)
    return model


def count_parameters(model: Any) -> tuple[int, int]:
    """Numbers of all and of trainable parameters."""
    return (
        sum(int(tf.size(v)) for v in model.variables),
        sum(int(tf.size(v)) for v in model.trainable_variables),
    )


def _make_config(checkpoint: Checkpoint, tokenizer: Any, label_names: Sequence[str]) -> Any:
    try:
        config = transformers.AutoConfig.from_pretrained(
            str(checkpoint.folder),
            local_files_only=True,
            trust_remote_code=False,
            num_labels=len(label_names),
            id2label=dict(enumerate(label_names)),
            label2id={name: i for i, name in enumerate(label_names)},
            **EQUIVALENT.get(checkpoint.model_type, {}),
        )
    except Exception as error:  # validation errors of many kinds, one for each configuration class
        raise ModelError(
            f"{checkpoint.folder / 'config.json'} is not valid for {checkpoint.model_type}: {error}"
        ) from error
    config.problem_type = "single_label_classification"
    _match_padding(checkpoint, config, tokenizer)
    if not isinstance(config.vocab_size, int) or len(tokenizer) > config.vocab_size:
        raise ModelError(
            f"The tokenizer in {checkpoint.tokenizer_folder} has {len(tokenizer)} tokens, the model's embedding has "
            f"{config.vocab_size}: they do not belong together."
        )
    return config


def _match_padding(checkpoint: Checkpoint, config: Any, tokenizer: Any) -> None:
    """Makes the tokenizer's padding the model's: decoders read the last position before it."""
    found, wanted = getattr(config, "pad_token_id", None), tokenizer.pad_token_id
    if found not in (None, wanted) and checkpoint.model_type in RESERVED_POSITIONS:
        raise ModelError(
            f"The tokenizer in {checkpoint.tokenizer_folder} pads with token {wanted}, but {checkpoint.model_type} "
            f"counts its positions from the padding token {found} of config.json: they do not belong together."
        )
    config.pad_token_id = wanted


def _load_weights(checkpoint: Checkpoint, config: Any) -> tuple[Any, dict[str, Any]]:
    try:
        model, report = transformers.TFAutoModelForSequenceClassification.from_pretrained(
            str(checkpoint.folder),
            config=config,
            use_safetensors=".safetensors" in checkpoint.weights.name,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
        return model, report
    except Exception as error:  # h5py, safetensors and transformers each have their own
        raise ModelError(f"The weights in {checkpoint.weights} cannot be loaded: {error}") from error
