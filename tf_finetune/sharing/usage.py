"""The section of a model card on how to use the model: the command line, transformers, TensorFlow Serving."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tf_finetune.serving.server.model_server import IMAGE, RELEASE
from tf_finetune.sharing.facts import Facts

__all__ = ["Whereabouts", "hub_whereabouts", "local_whereabouts", "usage"]

SHELL_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
"""Names that stand for themselves in a shell, in an address and in Markdown."""

TEXT, PAIR = "Not bad at all.", "I liked it."


@dataclass(frozen=True)
class Whereabouts:
    """Where a reader of the card finds the model.

    Attributes:
        name: What a server calls it.
        model: What transformers loads the weights from.
        tokenizer: What it loads the tokenizer from.
        predict: What `tf-finetune predict` takes; None where there is nothing for it.
        base_path: Folder of the exports, as seen from where the card's reader is; None without exports.
        download: A command that comes first, if any.
    """

    name: str
    model: str
    tokenizer: str
    predict: str | None
    base_path: str | None
    download: str | None


def local_whereabouts(facts: Facts) -> Whereabouts:
    """Beside the run: `saved_models/<name>`."""
    name = facts.name if SHELL_NAME.fullmatch(facts.name) else "NAME"
    folder = f"saved_models/{name}"
    return Whereabouts(
        name=name,
        model=f"{folder}/run/model",
        tokenizer=f"{folder}/run/tokenizer",
        predict=folder,
        base_path=folder if facts.exports else None,
        download=None,
    )


def hub_whereabouts(facts: Facts, repo_id: str) -> Whereabouts:
    """In a repository of the hub, where the exports of `facts` are under ``exports/``."""
    name = repo_id.rpartition("/")[2]
    takes_text = [version for version, info in facts.exports.items() if "text" in info.signatures]
    return Whereabouts(
        name=name,
        model=repo_id,
        tokenizer=repo_id,
        predict=f"{name}/exports/{takes_text[-1]}" if takes_text else None,
        base_path=f"{name}/exports" if facts.exports else None,
        download=f"hf download {repo_id} --local-dir {name}",
    )


def usage(facts: Facts, where: Whereabouts) -> Iterator[str]:
    """Code to copy, with what has to be known to get the same answers."""
    if where.predict is not None:
        yield "On the command line, with `tf_finetune` installed:"
        yield _code("sh", *([where.download] if where.download else []), _predict(facts, where.predict))
    yield "In Python, with transformers 4 (release 5 has no TensorFlow), tensorflow and tf-keras:"
    yield _code("python", *_python(facts, where))
    if facts.manifest.truncate == "head+tail":
        yield (
            f"Of texts of more than {facts.manifest.max_length} tokens, tf_finetune and the exports keep a quarter "
            "from the start and the rest from the end. The tokenizer alone keeps the start, so that the answers to "
            "such texts differ."
        )
    if where.base_path is not None:
        yield _export_words(facts)
        yield _code("sh", *([where.download] if where.download else []), *_serving(facts, where))


def _code(language: str, *lines: str) -> str:
    return "\n".join([f"```{language}", *lines, "```"])


def _predict(facts: Facts, path: str) -> str:
    if facts.manifest.pairs:
        return f"tf-finetune predict {path} --data pairs.csv --output labelled.csv"
    return f'echo "{TEXT}" | tf-finetune predict {path} --data -'


def _python(facts: Facts, where: Whereabouts) -> list[str]:
    manifest = facts.manifest
    texts = f'["{TEXT}"], ["{PAIR}"]' if manifest.pairs else f'["{TEXT}"]'
    logits = "model(inputs).logits" + ("" if manifest.temperature == 1 else f" / {manifest.temperature!r}")
    options = f'truncation=True, max_length={manifest.max_length}, padding=True, return_tensors="tf"'
    return [
        "import tensorflow as tf",
        "from transformers import AutoTokenizer, TFAutoModelForSequenceClassification",
        "",
        f'tokenizer = AutoTokenizer.from_pretrained("{where.tokenizer}")',
        f'model = TFAutoModelForSequenceClassification.from_pretrained("{where.model}")',
        f"inputs = tokenizer({texts}, {options})",
        f"probabilities = tf.nn.softmax({logits}).numpy()",
        "for row in probabilities:",
        "    print(model.config.id2label[int(row.argmax())], row.max())",
    ]


def _export_words(facts: Facts) -> str:
    """What the newest export takes, and how far it was found equal to the model."""
    version, info = max(facts.exports.items())
    takes = (
        "texts as they are"
        if "text" in info.signatures
        else "token ids (`input_ids` and `attention_mask`, as the tokenizer makes them), not texts"
    )
    texts = info.stress_texts + info.validation_texts
    ids = f" Its token ids were equal to the tokenizer's on {texts:,} texts." if texts else ""
    return (
        f"With TensorFlow Serving. Version {version} takes {takes}.{ids} Its logits were compared with the model's: "
        f"the largest difference was {info.largest_difference:.0e}."
    )


def _serving(facts: Facts, where: Whereabouts) -> Iterator[str]:
    name = where.name
    yield (
        f'docker run --rm -p 8501:8501 -v "$PWD/{where.base_path}:/models/{name}:ro" -e MODEL_NAME={name} '
        f"{IMAGE}:{RELEASE}"
    )
    if "text" in facts.exports[max(facts.exports)].signatures:
        pair = f'{{"text": "{TEXT}", "text_pair": "{PAIR}"}}'
        row = pair if facts.manifest.pairs else f'"{TEXT}"'
        yield f"curl -d '{{\"instances\": [{row}]}}' localhost:8501/v1/models/{name}:predict"
