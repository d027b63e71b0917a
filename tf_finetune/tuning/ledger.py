"""`TrialLedger`: what was begun and what came of it, a line of JSON each, on the disk before anything else happens."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from tf_finetune.errors import RunError
from tf_finetune.tuning.trial import Trial

__all__ = ["BEGIN", "END", "INTERNAL", "TrialLedger"]

BEGIN = "begin"
END = "end"
INTERNAL = "tuner/"
"""Prefix of values that hyperband adds: how many epochs, and which trial to go on from."""


class TrialLedger:
    """The file `trials.jsonl`. One process writes it; any may read it meanwhile.

    A last line that a killed process left unfinished counts as not written.

    Args:
        path: The file; made with the first line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def events(self) -> list[dict[str, Any]]:
        """All lines, in the order of time.

        Raises:
            RunError: A line is damaged.
        """
        lines = self._whole_lines()
        events = []
        for number, line in enumerate(lines, start=1):
            try:
                event = json.loads(line)
                if not _is_event(event):
                    raise ValueError("no event of a trial")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise RunError(
                    f"{self.path}:{number} is damaged: {error}. The search cannot be gone on with; its trials are in "
                    f"{self.path.parent / 'trials'}."
                ) from error
            events.append(event)
        return events

    def append(self, event: Mapping[str, Any]) -> None:
        """Writes a line; it is on the disk when this returns."""
        line = json.dumps({**event, "at": round(time.time(), 3)}, ensure_ascii=False, allow_nan=False) + "\n"
        with open(self.path, "ab") as file:
            file.truncate(sum(len(before) + 1 for before in self._whole_lines()))  # what a killed process began
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    def trials(self) -> list[Trial]:
        """All trials, in the order in which they began."""
        trials: dict[str, Trial] = {}
        for event in self.events():
            number = event["trial"]
            if event["event"] == BEGIN:
                values = event["values"]
                trials[number] = Trial(
                    id=number,
                    values={name: value for name, value in values.items() if not name.startswith(INTERNAL)},
                    parent=values.get(f"{INTERNAL}trial_id"),
                    worker=event["worker"],
                )
            elif number in trials:
                trials[number] = replace(trials[number], **event["result"])
        return list(trials.values())

    def _whole_lines(self) -> list[bytes]:
        content = self.path.read_bytes() if self.path.is_file() else b""
        return content.split(b"\n")[:-1]


def _is_event(event: Mapping[str, Any]) -> bool:
    if event["event"] == BEGIN:
        sound = isinstance(event["values"], dict) and isinstance(event["worker"], str)
    else:
        sound = event["event"] == END and event["result"].keys() <= {field.name for field in fields(Trial)}
    return sound and isinstance(event["trial"], str)
