"""How the run was made: its configuration and its environment."""

from __future__ import annotations

import contextlib
import math
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from tf_finetune.config import resolve_config
from tf_finetune.config.catalog import OPTIONS
from tf_finetune.errors import ConfigError
from tf_finetune.pages.page import escaped, row, section, table
from tf_finetune.pages.words import duration_text
from tf_finetune.reporting.reported import Reported

__all__ = ["configuration_section", "environment_section"]

HEADING = "Configuration"
CONFIG_BYTES = 100_000


def configuration_section(found: Reported) -> str:
    """All options of the run, those that differ from the defaults first."""
    try:
        config = resolve_config(file=found.model.config)
    except ConfigError as error:
        text = ""
        with contextlib.suppress(OSError):  # which the error tells of
            text = found.model.config.read_text(encoding="utf-8", errors="replace")[:CONFIG_BYTES]
        return section(HEADING, f"<p>{escaped(error)}</p><pre>{escaped(text)}</pre>", anchor="configuration")
    changed: list[str] = []
    same: list[str] = []
    for key, option in OPTIONS.items():
        value = getattr(getattr(config, option.section), key)
        is_default = value == option.default
        classes = "reason" if is_default else "reason changed"
        name = escaped(option.path).replace("_", "_<wbr>")
        cells = [f"<th>{name}</th>", f'<td class="{classes}">{escaped(value)}</td>']
        (same if is_default else changed).append(row([*cells, f'<td class="reason">{escaped(option.default)}</td>']))
    heads = ("<th>option</th>", "<th>value</th>", "<th>default</th>")
    rest = f"<details><summary>{len(same)} options with their defaults</summary>{table(heads, same)}</details>"
    lead = f"<p>run/config.yaml, which is itself a --config. {len(changed)} options differ from their defaults.</p>"
    return section(HEADING, lead, table(heads, changed, classes="sortable narrow"), rest, anchor="configuration")


def environment_section(found: Reported) -> str:
    """Model, data, machine and versions."""
    rows = [
        row([f"<th>{escaped(name)}</th>", f'<td class="reason">{escaped(value)}</td>']) for name, value in _facts(found)
    ]
    return section("Environment", table((), rows), anchor="environment")


def _facts(found: Reported) -> Iterator[tuple[str, Any]]:
    environment, complete = found.environment, found.complete
    pretrained = _object(environment, "model")
    yield "pretrained model", f"{pretrained.get('name')} ({pretrained.get('architecture')}, {pretrained.get('source')})"
    yield "run", found.manifest.run_id
    yield "weights (SHA-256)", found.manifest.weights_sha256
    for name, part in _object(environment, "data").items():
        if isinstance(part, dict):
            yield f"{name} rows", f"{part.get('rows')}, fingerprint {part.get('sha256')}"
    yield "epochs", f"{complete.get('epochs')}, of which the weights of number {complete.get('best_epoch')} were kept"
    seconds = complete.get("seconds")
    if isinstance(seconds, (int, float)) and math.isfinite(seconds):
        yield "time", duration_text(seconds)
    command = environment.get("command")
    if isinstance(command, list):
        yield "command", shlex.join(map(str, command))
    yield "machine", f"{environment.get('platform')}, {environment.get('cpus')} CPUs, {environment.get('gpus')} GPUs"
    yield "deterministic", environment.get("deterministic")
    yield from _object(environment, "versions").items()


def _object(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = values.get(key)
    return found if isinstance(found, dict) else {}
