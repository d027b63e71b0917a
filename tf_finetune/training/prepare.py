"""`prepare`: data, tokenizer, token tables and compiled model, ready for `train`."""

from __future__ import annotations

import dataclasses
import functools
import logging
from typing import Any

from tf_finetune.backend import make_strategy, seed_everything, uses_determinism
from tf_finetune.config import Config
from tf_finetune.config.cluster import read_cluster
from tf_finetune.data import Examples, Splits
from tf_finetune.errors import ConfigError
from tf_finetune.model.checkpoint import Checkpoint
from tf_finetune.model.compile import compile_model
from tf_finetune.model.dropout import seed_dropout
from tf_finetune.model.freeze import freeze
from tf_finetune.model.macro_f1 import MacroF1
from tf_finetune.model.pretrained import load_model
from tf_finetune.model.unpadded import unpadded_encoder
from tf_finetune.tokens.cuts import Cuts
from tf_finetune.tokens.lengths import LengthReport, report_lengths
from tf_finetune.tokens.order import batch_tokens
from tf_finetune.tokens.pipeline import input_spec, steps_per_epoch
from tf_finetune.tokens.shapes import few_shapes
from tf_finetune.tokens.table import TokenTable, encode
from tf_finetune.tokens.tokenizer import load_tokenizer
from tf_finetune.training.class_weights import parse_class_weights
from tf_finetune.training.encoder import EncoderChoice, choose_encoder
from tf_finetune.training.prepared import Prepared, Shapes
from tf_finetune.training.workers import Workers

__all__ = ["prepare"]

logger = logging.getLogger(__name__)

TRAINING_LENGTHS = 3
VALIDATION_LENGTHS = 2
"""Most lengths of full batches with XLA. With a smaller last batch of each kind, seven shapes are to be compiled."""


def prepare(config: Config, splits: Splits, checkpoint: Checkpoint) -> Prepared:
    """Tokenizes the data, and loads and compiles the model.

    Args:
        config: The whole configuration.
        splits: The data.
        checkpoint: The pretrained model.

    Raises:
        ConfigError: Class weights, frozen parts or devices do not fit.
        ModelError: The checkpoint or the settings do not fit.
        TokenizerError: The tokenizer does not fit.
    """
    class_weight = parse_class_weights(config.fit.class_weights, splits.train.labels, splits.train.label_names)
    strategy = make_strategy(config.model.devices)
    if read_cluster() is not None and config.model.jit_compile:
        raise ConfigError("--jit-compile does not go with several workers: the sizes of their shares are not few.")
    deterministic = uses_determinism(config.fit.deterministic)
    seed_everything(config.fit.seed, deterministic=deterministic)
    tokens = config.tokens
    tokenizer = load_tokenizer(checkpoint.tokenizer_folder, max_length=tokens.max_length, truncate=tokens.truncate)
    model = _load(config, splits, checkpoint, tokenizer, strategy)
    train, validation, test = _encode(config, splits, tokenizer)
    rows = config.fit.batch_size * config.fit.gradient_accumulation
    steps = steps_per_epoch(train, batch_size=rows)
    spec = input_spec(model, tokenizer)
    with strategy.scope():
        encoder = _choose_encoder(config, model, train, spec, rows=rows)
        dropout = [unpadded_encoder(model).counter] if encoder.unpadded else seed_dropout(model, seed=config.fit.seed)
        cuts = _choose_cuts(config, encoder)
        _compile(model, config, updates=steps * config.fit.epochs, cuts=cuts)
    shapes = _choose_shapes(config, train, validation, rows=rows) if config.model.jit_compile else None
    if shapes:
        cuts = Cuts()  # of equal size then, and not trimmed: they compute what the whole batch would
    return Prepared(
        tokenizer=tokenizer,
        train=train,
        validation=validation,
        test=test,
        model=model,
        spec=spec,
        strategy=strategy,
        rows_per_update=rows,
        steps_per_epoch=steps,
        class_weight=class_weight,
        encoder=encoder,
        cuts=cuts,
        shapes=shapes,
        lengths=_report_lengths(config, train, rows=rows, cuts=cuts, shapes=shapes, unpadded=encoder.unpadded),
        deterministic=deterministic,
        dropout=tuple(dropout),
        workers=Workers(read_cluster(), strategy),
    )


def _encode(config: Config, splits: Splits, tokenizer: Any) -> tuple[TokenTable, TokenTable, TokenTable | None]:
    def table(part: Examples) -> TokenTable:
        tokens = config.tokens
        return encode(
            part, tokenizer, max_length=tokens.max_length, truncate=tokens.truncate, cache_dir=tokens.cache_dir
        )

    return table(splits.train), table(splits.validation), None if splits.test is None else table(splits.test)


def _load(config: Config, splits: Splits, checkpoint: Checkpoint, tokenizer: Any, strategy: Any) -> Any:
    with strategy.scope():
        model = load_model(
            checkpoint,
            tokenizer,
            label_names=splits.train.label_names,
            max_length=config.tokens.max_length,
            precision=config.model.precision,
            jit_compile=config.model.jit_compile,
        )
        if config.model.freeze:
            logger.info("frozen: %s", ", ".join(freeze(model, config.model.freeze)))
    return model


def _choose_encoder(config: Config, model: Any, train: TokenTable, spec: dict[str, Any], *, rows: int) -> EncoderChoice:
    """Puts the unpadded encoder into the model where it applies; `rows` make an update."""
    fit = config.fit
    whole = fit.gradient_accumulation == 1 and fit.token_budget is None and read_cluster() is None
    batches: dict[str, Any] = {"batch_size": rows, "order": fit.batching, "seed": fit.seed, "epochs": fit.epochs}
    return choose_encoder(
        model,
        config.model.encoder,
        train,
        spec,
        seed=fit.seed,
        jit_compile=config.model.jit_compile,
        count_tokens=functools.partial(batch_tokens, train.lengths, **batches) if whole else None,
    )


def _choose_cuts(config: Config, encoder: EncoderChoice) -> Cuts:
    """How batches are cut; by length only where padding is computed."""
    return Cuts(
        parts=config.fit.gradient_accumulation,
        token_budget=config.fit.token_budget,
        exact=config.fit.batching == "exact" and not encoder.unpadded,
    )


def _choose_shapes(config: Config, train: TokenTable, validation: TokenTable, *, rows: int) -> Shapes:
    """The few shapes of the batches that XLA compiles; `rows` make an update."""
    fit = config.fit
    return Shapes(
        few_shapes(train, batch_size=rows, order=fit.batching, seed=fit.seed, most=TRAINING_LENGTHS),
        few_shapes(validation, batch_size=fit.batch_size, order="length", most=VALIDATION_LENGTHS),
    )


def _report_lengths(
    config: Config, train: TokenTable, *, rows: int, cuts: Cuts, shapes: Shapes | None, unpadded: bool
) -> LengthReport:
    """Lengths and padding of the training rows; `rows` make an update."""
    report = report_lengths(
        train,
        batch_size=rows,
        batching=config.fit.batching,
        seed=config.fit.seed,
        cuts=cuts,
        shapes=shapes.training if shapes else None,
    )
    if unpadded:
        return dataclasses.replace(report, padded=report.tokens, batching=f"{report.batching}, unpadded")
    return report


def _compile(model: Any, config: Config, *, updates: int, cuts: Cuts) -> None:
    settings = config.fit
    compile_model(
        model,
        updates=updates,
        learning_rate=settings.learning_rate,
        end_learning_rate=settings.end_learning_rate,
        power=settings.power,
        warmup_ratio=settings.warmup_ratio,
        weight_decay=settings.weight_decay,
        clip_norm=settings.clip_norm,
        label_smoothing=settings.label_smoothing,
        cuts=cuts,
        jit_compile=config.model.jit_compile,
        metrics=[MacroF1(model.config.num_labels)] if settings.monitor == "val_macro_f1" else [],
    )
