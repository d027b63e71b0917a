"""Checks that take more than the range of one option."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tf_finetune.config.devices import named_gpus
from tf_finetune.config.option import Option
from tf_finetune.config.save_every import parse_save_every
from tf_finetune.config.threshold_for import parse_threshold_for
from tf_finetune.errors import ConfigError

__all__ = ["cross_faults"]

Values = Mapping[str, Any]


def cross_faults(values: Values, options: Mapping[str, Option], *, wrong: frozenset[str] = frozenset()) -> list[str]:
    """Says which options contradict each other, or have no effect together.

    Args:
        values: Every value of the configuration, by key.
        options: Every option, by key.
        wrong: Keys whose value was refused already; checks that read one of them are left out.
    """
    faults = []
    for keys, check in CHECKS:
        if wrong.isdisjoint(keys):
            fault = check(values, options)
            faults += [fault] if fault else []
    return faults


def _check_rates(values: Values, options: Mapping[str, Option]) -> str | None:
    last, first = values["end_learning_rate"], values["learning_rate"]
    if last <= first:
        return None
    return f"--end-learning-rate {last:g} is above --learning-rate {first:g}: the rate falls after warm-up, or stays."


def _check_patience(values: Values, options: Mapping[str, Option]) -> str | None:
    # The first epoch is always the best so far, so the earliest stop is after epoch 1 + patience.
    patience, epochs = values["patience"], values["epochs"]
    if patience is None or patience + 1 < epochs:
        return None
    return (
        f"--patience {patience} can never stop a run of --epochs {epochs}: it needs {patience + 2} epochs or more. "
        "Leave it out, or give more epochs."
    )


def _check_validation_split(values: Values, options: Mapping[str, Option]) -> str | None:
    if not values["validation"] or values["validation_split"] == options["validation_split"].default:
        return None
    return (
        f"--validation-split {values['validation_split']:g} has no effect with --validation: nothing is held out "
        "where validation data is given. Give one of the two."
    )


def _check_data_dir(values: Values, options: Mapping[str, Option]) -> str | None:
    sources = (*values["data"], *values["validation"], *values["test"])
    if values["data_dir"] is None or any(source.startswith("tfds:") for source in sources):
        return None
    return f"--data-dir {values['data_dir']} has no effect without data of the form tfds:NAME."


def _check_encoding(values: Values, options: Mapping[str, Option]) -> str | None:
    try:
        "".encode(values["encoding"])
    except (LookupError, ValueError):
        return f"--encoding {values['encoding']}: Python has no such text encoding. Usual ones: utf-8, latin-1, cp1252."
    return None


def _check_token_budget(values: Values, options: Mapping[str, Option]) -> str | None:
    budget, longest = values["token_budget"], values["max_length"]
    if budget is None:
        return None
    if budget < longest:
        return f"--token-budget {budget} is below --max-length {longest}: a text of this length would not fit into it."
    rows = values["batch_size"] * values["gradient_accumulation"]
    if budget < rows * longest:
        return None
    return (
        f"--token-budget {budget} has no effect: the {rows} rows of an update have at most {rows * longest} tokens. "
        "Give less, or leave it out."
    )


def _check_xla_sizes(values: Values, options: Mapping[str, Option]) -> str | None:
    if not values["jit_compile"]:
        return None
    if values["batching"] == "exact":
        return (
            "--jit-compile does not go with --batching exact: XLA compiles one program for each size, and the sizes of "
            "exact micro-batches are new in nearly every update. Give --batching bucketed or plain."
        )
    if values["token_budget"] is not None:
        return (
            f"--jit-compile does not go with --token-budget {values['token_budget']}: XLA compiles one program for "
            "each size, and micro-batches cut by tokens have a new one in nearly every update. "
            "Give --gradient-accumulation and a smaller --batch-size instead."
        )
    return None


def _check_encoder(values: Values, options: Mapping[str, Option]) -> str | None:
    if values["encoder"] != "unpadded":
        return None
    if values["jit_compile"]:
        return "--encoder unpadded does not go with --jit-compile: XLA needs shapes that do not depend on the padding."
    if values["precision"] != "float32":
        return (
            f"--encoder unpadded does not go with --precision {values['precision']}: only float32 was found equal to "
            "the model's own encoder."
        )
    return None


def _check_devices(values: Values, options: Mapping[str, Option]) -> str | None:
    try:
        named_gpus(values["devices"])
    except ConfigError as error:
        return str(error)
    return None


def _check_save_every(values: Values, options: Mapping[str, Option]) -> str | None:
    try:
        parse_save_every(values["save_every"])
    except ConfigError as error:
        return str(error)
    return None


def _check_resume(values: Values, options: Mapping[str, Option]) -> str | None:
    if values["resume"] is not None and values["overwrite"]:
        return f"--resume {values['resume']} goes on with a run, --overwrite replaces it: give one of the two."
    if values["resume"] is None and values["force"]:
        return "--force has no effect without --resume. To replace a run, give --overwrite."
    return None


def _check_tracker(values: Values, options: Mapping[str, Option]) -> str | None:
    names = values["tracker"]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    return f"--tracker {twice[0]} is given twice: the second one has no effect." if twice else None


def _check_threshold_for(values: Values, options: Mapping[str, Option]) -> str | None:
    text = values["threshold_for"]
    if text is None:
        return None
    if not values["calibrate"]:
        return f"--threshold-for {text:.80} has no effect without --calibrate. Give both, or leave it out."
    try:
        parse_threshold_for(text)
    except ConfigError as error:
        return str(error)
    return None


CHECKS: tuple[tuple[tuple[str, ...], Callable[[Values, Mapping[str, Option]], str | None]], ...] = (
    (("end_learning_rate", "learning_rate"), _check_rates),
    (("patience", "epochs"), _check_patience),
    (("validation", "validation_split"), _check_validation_split),
    (("data", "validation", "test", "data_dir"), _check_data_dir),
    (("encoding",), _check_encoding),
    (("token_budget", "max_length", "batch_size", "gradient_accumulation"), _check_token_budget),
    (("jit_compile", "batching", "token_budget"), _check_xla_sizes),
    (("encoder", "jit_compile", "precision"), _check_encoder),
    (("devices",), _check_devices),
    (("save_every",), _check_save_every),
    (("tracker",), _check_tracker),
    (("calibrate", "threshold_for"), _check_threshold_for),
    (("resume", "overwrite", "force"), _check_resume),
)
