"""The block of metadata at the head of a model card, as the Hugging Face hub reads it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import yaml

from tf_finetune.sharing.facts import Facts
from tf_finetune.sharing.kept import Kept
from tf_finetune.sharing.measured import Measured

__all__ = ["LIBRARY", "TAG", "TASK", "joined_block", "metadata_block"]

LIBRARY = "transformers"
TASK = "text-classification"
TAG = "tf_finetune"

TAGS = (TASK, "tf", TAG)
"""`tf` tells the hub whose weights model.safetensors holds."""

METRICS: dict[str, dict[str, Any]] = {
    "accuracy": {"type": "accuracy", "name": "Accuracy"},
    "macro_f1": {"type": "f1", "name": "Macro F1", "args": {"average": "macro"}},
    "mcc": {"type": "matthews_correlation", "name": "MCC"},
    "auroc": {"type": "roc_auc", "name": "AUROC"},
}
"""Field of `Scores` to what the hub calls it."""

TO_FILL_IN = {
    "license": "apache-2.0, or what you choose: the model's licence",
    "language": "en, or what the texts are in",
}
"""Keys that only a person can know, with what their line says."""


def metadata_block(facts: Facts, kept: Kept) -> str:
    """The block with its two lines of dashes.

    Args:
        facts: What is known of the model.
        kept: The card that there was before. What this function does not know stays as it was, tags are joined, and
            the `base_model` of a run that does not know its own stays with that run.
    """
    tags = dict.fromkeys((*TAGS, *_tags(kept)))
    ours: dict[str, Any] = {"library_name": LIBRARY, "pipeline_tag": TASK}
    base = facts.base_model or (kept.metadata.get("base_model") if kept.run_id == facts.manifest.run_id else None)
    if base is not None:
        ours["base_model"] = base
    last = {
        "tags": list(tags),
        "metrics": [
            metric["type"] for name, metric in METRICS.items() if any(name in m.values for m in facts.measured)
        ],
        "model-index": [{"name": facts.name, "results": [_result(facts, one) for one in facts.measured]}],
    }
    own = {key: value for key, value in kept.metadata.items() if key not in (*ours, *last, "base_model")}
    return _block({**own, **ours, **last})


def joined_block(ours: Kept, theirs: Kept) -> str:
    """The block of a card with the keys and the tags of another copy of it that it lacks."""
    lacking = {key: value for key, value in theirs.metadata.items() if key not in ours.metadata}
    if ours.run_id != theirs.run_id:
        lacking.pop("base_model", None)
    return _block({**lacking, **ours.metadata, "tags": list(dict.fromkeys((*_tags(ours), *_tags(theirs))))})


def _tags(kept: Kept) -> list[str]:
    """The tags of a card; a single one may stand without a list, and what is no text or number is none."""
    found = kept.metadata.get("tags")
    tags = found if isinstance(found, list) else [found]
    return [str(tag) for tag in tags if isinstance(tag, (str, int, float))]


def _block(values: Mapping[str, Any]) -> str:
    missing = [f"# {key}: {words}\n" for key, words in TO_FILL_IN.items() if key not in values]
    return f"---\n{''.join(missing)}{_dumped(values)}---\n"


def _result(facts: Facts, measured: Measured) -> dict[str, Any]:
    """What the hub's table of results has of one split."""
    return {
        "task": {"type": TASK, "name": "Text classification"},
        "dataset": {"type": "custom", "name": facts.data_name(measured.split), "split": measured.split},
        "metrics": [
            {**copy.deepcopy(metric), "value": round(measured.values[name], 6)}  # one object twice becomes an alias
            for name, metric in METRICS.items()
            if name in measured.values
        ],
    }


def _dumped(values: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=float("inf"))
    return text
