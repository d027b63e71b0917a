"""`hub_contents`: the files of a model folder that go to the hub, and no others.

In the repository, weights and tokenizer lie at the root, where `from_pretrained` looks for them, and exports below
``exports/``. Texts of users, logs, checkpoints, the configuration and the environment stay at home: what goes is named
here, not what does not.
"""

from __future__ import annotations

import fnmatch
import logging
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tf_finetune.errors import RunError
from tf_finetune.files import file_sha256
from tf_finetune.run import ModelFolder
from tf_finetune.sharing.card import card_for_hub
from tf_finetune.sharing.facts import current_exports

__all__ = ["CARD", "HubFile", "hub_contents", "is_ours"]

logger = logging.getLogger(__name__)

CARD = "README.md"
EXPORTS = "exports"

MODEL_FILES = ("config.json", "model.safetensors")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.model",
    "*.codes",
)
EXPORT_FILES = (
    "saved_model.pb",
    "fingerprint.pb",
    "batching_params.pbtxt",
    "variables/variables.index",
    "variables/variables.data-*",
    "assets/*",
    "assets.extra/export.json",
    "assets.extra/tf_serving_warmup_requests",
)
"""The answers recorded in `assets.extra` are not among them: they hold validation texts."""

NEEDED = ("saved_model.pb", "variables/variables.index", "assets.extra/export.json")
"""Files that every export has."""


@dataclass(frozen=True)
class HubFile:
    """A file for the hub.

    Attributes:
        path: Its name in the repository, with slashes.
        content: Where it lies, or what is in it.
        size: Bytes.
    """

    path: str
    content: Path | bytes
    size: int


def hub_contents(model: ModelFolder, repo_id: str, *, exports: bool) -> tuple[HubFile, ...]:
    """The files that go to a repository of the hub, in the order of their names.

    Exports of other weights, or with another calibration than the run has now, stay behind; the log names them.

    Args:
        model: The model folder.
        repo_id: Name of the repository, ``ORG/NAME``, for the card.
        exports: Whether the exports go along.

    Raises:
        RunError: The folder holds no finished run; a file is missing, or is no regular file in this folder; or the
            weights are not those that the run was finished with.
    """
    manifest = model.read_manifest()
    if os.path.lexists(model.card):
        _regular_size(model, model.card)
    card = card_for_hub(model, repo_id, exports=exports).encode()
    found = {CARD: HubFile(CARD, card, len(card))}
    sources = dict([*_listed(model.model, MODEL_FILES), *_listed(model.tokenizer, TOKENIZER_FILES)])
    missing = [name for name in MODEL_FILES if name not in sources]
    if missing:
        raise RunError(f"The run in {model.path} is damaged: there is no {model.model / missing[0]}.")
    if exports:
        sources |= dict(_exports(model))
    for name, path in sources.items():
        found[name] = HubFile(name, path, _regular_size(model, path))
    if file_sha256(sources["model.safetensors"]) != manifest.weights_sha256:
        raise RunError(
            f"{sources['model.safetensors']} is not the file that the run was finished with: its SHA-256 differs from "
            f"{model.complete}. Restore it, or train again."
        )
    return tuple(found[name] for name in sorted(found))


def is_ours(path: str) -> bool:
    """Whether a file of a repository is one that a push writes, and removes again when it is gone from the folder."""
    top, slash, _ = path.partition("/")
    return top == EXPORTS if slash else _fits(path, (*MODEL_FILES, *TOKENIZER_FILES))


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a name fits one of the patterns, folder by folder."""
    return any(fnmatch.fnmatchcase(name, one) and name.count("/") == one.count("/") for one in patterns)


def _listed(folder: Path, patterns: tuple[str, ...], *, below: str = "") -> Iterator[tuple[str, Path]]:
    """The files of a folder that are wanted: name in the repository, and path.

    Raises:
        RunError: There is a link to a folder, whose files might be anyone's.
    """
    for place, folders, names in os.walk(folder):
        linked = [Path(place) / name for name in folders if (Path(place) / name).is_symlink()]
        if linked:
            raise RunError(f"{linked[0]} is a link to a folder. Only files of the model folder are pushed: remove it.")
        for name in sorted(names):
            path = Path(place) / name
            relative = path.relative_to(folder).as_posix()
            if _fits(relative, patterns):
                yield below + relative, path


def _exports(model: ModelFolder) -> Iterator[tuple[str, Path]]:
    current = current_exports(model, model.read_manifest())
    behind = [str(version) for version in model.versions() if version not in current]
    if behind:
        logger.warning(
            "exports that stay behind: %s; of other weights, or with another calibration than the run has now. To "
            "export the run as it is: tf-finetune export %s",
            ", ".join(behind),
            shlex.quote(str(model.path)),
        )
    for version in current:
        path = model.path / str(version)
        below = f"{EXPORTS}/{version}/"
        found = dict(_listed(path, EXPORT_FILES, below=below))
        missing = [name for name in NEEDED if below + name not in found]
        if missing:
            raise RunError(f"{path} is damaged: it has no {missing[0]}. Remove it, or push with --no-exports.")
        yield from found.items()


def _regular_size(model: ModelFolder, path: Path) -> int:
    """Bytes of a file of the model folder.

    Raises:
        RunError: It is a link, or below one, which may lead to anything; or it is no regular file.
    """
    if path.resolve() != model.path.resolve() / path.relative_to(model.path):
        raise RunError(
            f"{path} is a link, to {path.resolve()}. Only files that lie in the model folder themselves are pushed: "
            "put a copy in the link's place if it belongs to the model."
        )
    if not path.is_file():
        raise RunError(f"{path} is no regular file. Remove it, or restore it.")
    return path.stat().st_size
