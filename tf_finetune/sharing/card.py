"""The model card, `saved_models/<name>/README.md`, in the format of the Hugging Face hub."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tf_finetune.errors import RunError
from tf_finetune.files import write_text
from tf_finetune.pages.words import duration_text, value_text
from tf_finetune.run import ModelFolder
from tf_finetune.sharing.facts import Facts, damage_told, read_facts
from tf_finetune.sharing.kept import Kept, fill_places, place, read_card, read_kept, replace_front, seal
from tf_finetune.sharing.markdown import comma_list, plain, table
from tf_finetune.sharing.metadata import joined_block, metadata_block
from tf_finetune.sharing.scores import MOST_CLASSES, limits, probabilities, scores, share
from tf_finetune.sharing.usage import Whereabouts, hub_whereabouts, local_whereabouts, usage

__all__ = ["card_for_hub", "join_cards", "open_places", "refresh_card", "write_card"]

logger = logging.getLogger(__name__)

SHOWN_LABELS = 12

PLACES = {
    "description": "What is this model for, who made it, and whom can one ask?",
    "intended use": "Who should use this model, on which texts and for what? What must it not be used for?",
    "bias and risks": "Whose texts were it trained on, and who labelled them? Whom could a wrong answer harm?",
    "licence": "Under which licence may others use this model? Name it in the block at the head of this file, too. "
    "Mind those of the pretrained model and of the data.",
    "notes": "Anything else.",
}
"""What only a person can say: the name of each place to what it asks for."""

OPEN = "*To be filled in:"
"""How the text in a place begins while no one has written there."""

SETTINGS = {
    "tokens.max_length": "Longest input, tokens",
    "tokens.truncate": "Part of longer texts that is kept",
    "model.freeze": "Frozen",
    "model.precision": "Precision",
    "fit.epochs": "Epochs, at most",
    "fit.batch_size": "Batch size",
    "fit.gradient_accumulation": "Batches an update",
    "fit.batching": "Batching",
    "fit.learning_rate": "Learning rate",
    "fit.end_learning_rate": "Learning rate at the end",
    "fit.power": "Power of the decay",
    "fit.warmup_ratio": "Share of the updates with a rising learning rate",
    "fit.weight_decay": "Weight decay (AdamW; 0 is Adam)",
    "fit.clip_norm": "Largest norm of the gradients",
    "fit.class_weights": "Class weights",
    "fit.label_smoothing": "Label smoothing",
    "fit.patience": "Patience, epochs",
    "fit.monitor": "Value that chose the weights kept",
    "fit.seed": "Seed",
}
"""Options that a card tells, by their dotted name."""


def write_card(folder: str | Path) -> Path:
    """Writes the model card of a finished run; what a person wrote into the former one stays.

    That is the text in the places marked ``keep``, and keys of the metadata that are not written anew: ``license``,
    ``language``, further tags and so on. A README.md that was changed elsewhere is never replaced.

    Args:
        folder: Model folder, `saved_models/<name>`.

    Returns:
        The file README.md in the model folder.

    Raises:
        RunError: The folder holds no finished run, or a damaged one; or its README.md was written or changed by hand.
    """
    model = ModelFolder(Path(folder))
    facts = read_facts(model)
    text = read_card(model.card)
    kept = Kept() if text is None else read_kept(text)
    if kept is None:
        raise RunError(
            f"{model.card} was written by hand, or changed outside the places marked keep, and is not replaced. To "
            "have a new card, give it another name, export the model again, and copy your text into the places."
        )
    write_text(model.card, _card(facts, kept, local_whereabouts(facts)))
    return model.card


def refresh_card(folder: str | Path) -> Path | None:
    """Writes the card as `write_card` does; whatever keeps it from being written is logged as a warning.

    A run, an export and a calibration are worth more than their description.

    Returns:
        The file, or None if it could not be written.
    """
    try:
        return write_card(folder)
    except Exception as error:  # a card must never break what it describes
        logger.warning("the model card was not written: %s", error)
        return None


def card_for_hub(model: ModelFolder, repo_id: str, *, exports: bool) -> str:
    """The card as it goes to a repository of the hub; one that was written by hand goes as it is. Writes nothing.

    Args:
        model: A model folder with a finished run.
        repo_id: Name of the repository, ``ORG/NAME``.
        exports: Whether the exports go along.

    Raises:
        RunError: The run is damaged, or its card cannot be read.
    """
    text = read_card(model.card)
    kept = Kept() if text is None else read_kept(text)
    if text is not None and kept is None:
        return text
    facts = read_facts(model)
    if not exports:
        facts = dataclasses.replace(facts, exports={})
    return _card(facts, kept or Kept(), hub_whereabouts(facts, repo_id))


def open_places(text: str) -> tuple[str, ...]:
    """The places of a card that no one has written into yet; none in a card that was written by hand."""
    kept = read_kept(text)
    return () if kept is None else tuple(name for name, found in kept.places.items() if found.startswith(OPEN))


def join_cards(ours: str, theirs: str) -> str:
    """A card with what people wrote into another copy of it, such as the one on the hub, where this one lacks it.

    A card of ours that was written by hand stays as it is.

    Args:
        ours: The text of the card.
        theirs: The text of the other copy.

    Raises:
        RunError: The other copy was written by hand, or changed outside the places marked ``keep``.
    """
    kept, found = read_kept(ours), read_kept(theirs)
    if kept is None:
        return ours
    if found is None:
        raise RunError("its README.md was written by hand, or changed outside the places marked keep")
    waiting = open_places(ours)
    filled = fill_places(ours, {name: text for name, text in found.places.items() if name in waiting})
    return replace_front(filled, joined_block(kept, found))


def _card(facts: Facts, kept: Kept, where: Whereabouts) -> str:
    with damage_told(facts.name):
        body = "\n\n".join(_paragraphs(facts, kept, where)) + "\n"
        return f"{metadata_block(facts, kept)}\n{seal(body, facts.manifest.run_id)}"


def _paragraphs(facts: Facts, kept: Kept, where: Whereabouts) -> Iterator[str]:
    """The text below the metadata; its paragraphs."""

    def own(name: str) -> str:
        return place(name, kept.places.get(name, f"{OPEN} {PLACES[name]}*\n"))

    yield f"# {plain(facts.name)}"
    yield own("description")
    yield from _summary(facts)
    for title, name in (("Intended use", "intended use"), ("Bias and risks", "bias and risks")):
        yield f"## {title}"
        yield own(name)
    yield "## Limits that were measured"
    yield "\n".join(limits(facts))
    yield "## Scores"
    yield from scores(facts)
    yield "## Probabilities"
    yield from probabilities(facts)
    yield "## How to use it"
    yield from usage(facts, where)
    yield "## Data"
    yield from _data(facts)
    yield "## Training"
    yield from _training(facts)
    yield "## Licence"
    yield own("licence")
    yield "## Notes"
    yield own("notes")


def _summary(facts: Facts) -> Iterator[str]:
    manifest, model, best = facts.manifest, facts.environment["model"], facts.measured[0]
    texts = "two texts" if manifest.pairs else "a text"
    base = plain(facts.base_model) if facts.base_model else f"a local checkpoint ({plain(model['architecture'])})"
    accuracy, ends = best.values["accuracy"], best.intervals["accuracy"]
    count = len(manifest.label_names)
    yield (
        f"It reads {texts} and answers with one of {count} classes: "
        f"{comma_list(manifest.label_names, most=SHOWN_LABELS)}. It is {base}, fine-tuned with tf_finetune on "
        f"{facts.environment['data']['train']['rows']:,} labelled texts."
    )
    yield (
        f"Of {best.rows:,} {best.split} texts it labels **{share(accuracy)}** right (95 % interval {share(ends.low)} "
        f"to {share(ends.high)})."
    )


def _data(facts: Facts) -> Iterator[str]:
    parts = facts.environment["data"]
    yield "\n".join(
        f"- {name.capitalize()}: {part['rows']:,} texts of {plain(facts.data_name(name))}"
        for name, part in parts.items()
    )
    names = facts.manifest.label_names
    rows = [
        [str(place), plain(name), *(f"{part['label_counts'].get(name, 0):,}" for part in parts.values())]
        for place, name in enumerate(names[:MOST_CLASSES])
    ]
    yield table(["Index", "Class", *(name.capitalize() for name in parts)], rows, left=2)
    if len(names) > MOST_CLASSES:
        yield f"{len(names) - MOST_CLASSES} more classes are in config.json."
    lengths = facts.environment.get("lengths")
    if isinstance(lengths, Mapping):
        steps = ", ".join(f"{percent} %: {tokens:,}" for percent, tokens in lengths["percentiles"].items())
        yield f"Tokens of a training text, special tokens included (percentiles): {steps}."


def _training(facts: Facts) -> Iterator[str]:
    finished, environment = facts.finished, facts.environment
    took = "" if finished.get("resumed_at") else f" in {duration_text(finished['seconds'])}"  # of the last part alone
    yield (
        f"Trained for {finished['epochs']} epoch{'s' * (finished['epochs'] != 1)} ({finished['updates']:,} updates)"
        f"{took} on {_machine(environment)}; the weights kept are those of epoch {finished['best_epoch']}."
    )
    told = {title: facts.settings.get(path) for path, title in SETTINGS.items()}
    rows = [[title, plain(value_text(one))] for title, one in told.items() if one is not None]
    yield table(["Setting", "Value"], rows, left=2)
    versions = ", ".join(f"{plain(name)} {plain(number)}" for name, number in environment["versions"].items())
    yield f"Made with {versions}."
    yield f"Run `{facts.manifest.run_id}`, SHA-256 of its weights `{facts.manifest.weights_sha256}`."


def _machine(environment: Mapping[str, Any]) -> str:
    gpus = environment["gpus"]
    return f"{gpus} GPU{'s' * (gpus > 1)}" if gpus else f"{environment['cpus']} CPU cores"
