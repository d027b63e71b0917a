"""Modules imported one after the other in a process of their own: which are there, which are broken, which crash."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tf_finetune.doctor.child import Report, ask, first_line
from tf_finetune.doctor.installation import Installation

__all__ = ["DOOR", "Imported", "answer", "try_imports"]

DOOR = "tf_finetune.backend"
"""The module that imports TensorFlow, Keras and transformers as the package uses them."""

TIMEOUT = 300.0
"""Seconds; TensorFlow takes five, and a minute or two from a cold network disk."""


@dataclass(frozen=True)
class Imported:
    """What importing a module came to.

    Attributes:
        found: Whether there is such a package at all.
        fault: The error, or how the process died of it; None if it was imported.
        lacks: Top-level name of the module that was not found, which may be another one's.
        preloaded: Whether TensorFlow was there before anything was imported.
        facts: Of `DOOR`, the version of `keras`, the number of `gpus`, and whether `torch` was loaded with it.
    """

    found: bool = True
    fault: str | None = None
    lacks: str | None = None
    preloaded: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


def try_imports(installation: Installation, modules: Sequence[str], *, timeout: float = TIMEOUT) -> dict[str, Imported]:
    """Imports modules in one process, as the programs of a person do; in a further one after each that it dies of.

    Args:
        installation: Module path and environment variables.
        modules: Names, in the order in which they are imported.
        timeout: Seconds for each process.
    """
    outcomes: dict[str, Imported] = {}
    while waiting := [module for module in modules if module not in outcomes]:
        reply = ask(installation, __name__, *waiting, timeout=timeout)
        begun = [line["begins"] for line in reply.lines if "begins" in line]
        for line in reply.lines:
            if "module" in line:
                outcomes[line["module"]] = Imported(**line["outcome"])
        victims = [module for module in begun if module not in outcomes] or ([] if begun else waiting)
        outcomes |= {module: Imported(fault=reply.fault or "the process ended early") for module in victims}
    return outcomes


def answer(report: Report, *modules: str) -> None:
    """Imports the modules: what the process does."""
    preloaded = "tensorflow" in sys.modules
    for module in modules:
        report(begins=module)
        report(module=module, outcome={"preloaded": preloaded, **_import(module)})
    os._exit(0)  # libraries that crash while they are unloaded have done their work


def _import(module: str) -> dict[str, Any]:
    top = module.partition(".")[0]
    try:
        if getattr(importlib.import_module(module), "__file__", None) is None:
            return {"fault": f"only a folder without code is left of {module}"}
        return {"facts": _facts()} if module == DOOR else {}
    except ModuleNotFoundError as error:
        return {
            "found": error.name != top,
            "fault": first_line(error),
            "lacks": (error.name or top).partition(".")[0],
        }
    except (Exception, SystemExit) as error:
        return {"fault": first_line(error)}


def _facts() -> dict[str, Any]:
    from tf_finetune import backend

    _ = backend.transformers.TFBertForSequenceClassification  # transformers imports a class when it is named
    bound = backend.tf.keras.Model is backend.keras.Model
    return {
        "keras": str(backend.keras.__version__ if bound else backend.tf.keras.__version__),
        "gpus": len(backend.gpus()),
        "torch": "torch" in sys.modules,
    }
