"""From the values of a trial to its configuration, and from a configuration to its values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tf_finetune.config import RESUME_AUTO, Config
from tf_finetune.config.catalog import SECTIONS

__all__ = ["trial_config", "values_of", "with_values"]


def values_of(config: Config, names: tuple[str, ...]) -> dict[str, Any]:
    """The values that a configuration has by dotted name."""
    return {name: getattr(getattr(config, name.split(".")[0]), name.split(".")[1]) for name in names}


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """The configuration with other values, by dotted name.

    A patience that could never stop a run of so few epochs is left out.

    Raises:
        ConfigError: The values do not go together.
    """
    sections: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for name, value in values.items():
        section, _, key = name.partition(".")
        sections[section][key] = value
    epochs = sections["fit"].get("epochs", config.fit.epochs)
    patience = sections["fit"].get("patience", config.fit.patience)
    if patience is not None and patience + 1 >= epochs:
        sections["fit"]["patience"] = None
    changed = {section: dataclasses.replace(getattr(config, section), **new) for section, new in sections.items()}
    return dataclasses.replace(config, **changed)


def trial_config(config: Config, values: Mapping[str, Any], *, output: str) -> Config:
    """The configuration of a trial: a run of its own that is gone on with if it was begun, and is not exported.

    Raises:
        ConfigError: The values do not go together.
    """
    found = with_values(config, values)
    run = dataclasses.replace(
        found.run, output=output, resume=RESUME_AUTO, overwrite=False, max_hours=None, force=config.run.force
    )
    return dataclasses.replace(found, run=run, export=dataclasses.replace(found.export, export=False))
