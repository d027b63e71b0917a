"""`Checkpoint`: a model folder that was checked before anything in it is loaded.

Refused are settings that name code, weights in a pickle, and weight files outside the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tf_finetune.errors import ModelError

__all__ = ["Checkpoint", "open_checkpoint"]

CODE_KEYS = {"auto_map", "_attn_implementation_internal", "custom_pipelines", "custom_generate", "trust_remote_code"}
KERNEL_KEYS = {"attn_implementation", "_attn_implementation"}
WEIGHT_FILES = ("model.safetensors", "model.safetensors.index.json", "tf_model.h5", "tf_model.h5.index.json")
"""Weight files in the order in which they are preferred; each is read without running code."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt", "*.msgpack")
ADAPTER_FILE = "adapter_config.json"


@dataclass(frozen=True)
class Checkpoint:
    """A checked folder with a model's configuration and weights.

    Attributes:
        name: The name that was asked for.
        folder: Folder of config.json and the weights.
        tokenizer_folder: Folder of the tokenizer.
        weights: The weight file, or the index of the shards.
        config: config.json.
        source: Where the folder was found, for the log.
    """

    name: str
    folder: Path
    tokenizer_folder: Path
    weights: Path
    config: dict[str, Any]
    source: str

    @property
    def model_type(self) -> str:
        """The architecture, as transformers names it."""
        return str(self.config.get("model_type"))

    @property
    def files(self) -> tuple[Path, ...]:
        """config.json, the weight file, and the shards that it names."""
        named = _shards(self.weights) if self.weights.name.endswith(".index.json") else []
        return (self.folder / "config.json", self.weights, *(self.folder / name for name in named))


def open_checkpoint(
    folder: Path, *, name: str | None = None, tokenizer_folder: Path | None = None, source: str = "local folder"
) -> Checkpoint:
    """Checks a model folder and says what it holds; loads no weights.

    Args:
        folder: Folder with config.json and weights.
        name: Name for messages; the folder by default.
        tokenizer_folder: Folder of the tokenizer; `folder` by default.
        source: Where the folder was found, for messages.

    Raises:
        ModelError: config.json is missing, broken or names code; the folder sends the loader elsewhere; there are no
            weights, only a pickle, or shards outside the folder.
    """
    config = _read_object(folder / "config.json")
    _refuse_code(folder / "config.json", config)
    if (folder / ADAPTER_FILE).exists():
        raise ModelError(
            f"{folder} has an {ADAPTER_FILE}, which sends the loader to another model. Adapters are not supported: "
            "merge it into its base model and save that."
        )
    weights = _find_weights(folder)
    if weights.name.endswith(".index.json"):
        _check_shards(weights)
    return Checkpoint(
        name=name or str(folder),
        folder=folder,
        tokenizer_folder=tokenizer_folder or folder,
        weights=weights,
        config=config,
        source=source,
    )


def _read_object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ModelError(f"{path.parent} is no model folder: it has no {path.name}.")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is no valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} must hold a JSON object. Received: {type(value).__name__}.")
    return value


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """All keys and values in a JSON value, at any depth; not recursive, since the depth is the file's choice."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield from part.items()
        waiting += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()


def _refuse_code(path: Path, config: dict[str, Any]) -> None:
    for key, value in _items(config):
        if (key in CODE_KEYS and value) or (key in KERNEL_KEYS and "/" in str(value)):
            raise ModelError(
                f"{path} has the key {key!r} ({str(value)[:80]}), which names code to be loaded with the model. "
                "tf_finetune never runs code from a model folder. Use a model whose architecture is in transformers."
            )
    if config.get("quantization_config"):
        raise ModelError(f"{path} has a quantization_config: quantised weights cannot be loaded in TensorFlow.")


def _find_weights(folder: Path) -> Path:
    for name in WEIGHT_FILES:
        if (folder / name).is_file():
            return folder / name
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if pickles:
        raise ModelError(
            f"{folder} has its weights only in {pickles[0]}. Such files are pickles, which can run code when they are "
            "read, or need another framework; tf_finetune reads safetensors and tf_model.h5. Look for a revision of "
            "the model with model.safetensors, or convert it where PyTorch is installed: "
            "AutoModel.from_pretrained(FOLDER).save_pretrained(FOLDER, safe_serialization=True)."
        )
    raise ModelError(f"{folder} has no weights. Expected one of {', '.join(WEIGHT_FILES)}.")


def _shards(index: Path) -> list[str]:
    weight_map = _read_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{index} has no weight_map that names the shards.")
    return sorted({str(value) for value in weight_map.values()})


def _check_shards(index: Path) -> None:
    """Shard names must be plain names of files inside the folder."""
    for shard in _shards(index):
        if shard in ("", ".", "..") or any(c in shard for c in "/\\:\0"):
            raise ModelError(f"{index} names the shard {shard!r}; shards must be plain file names inside the folder.")
        if not shard.endswith((".safetensors", ".h5")):
            raise ModelError(f"{index} names the shard {shard!r}; only .safetensors and .h5 files are read.")
        if not (index.parent / shard).is_file():
            raise ModelError(
                f"{index} names the shard {shard!r}, which is not in the folder. Download the model again."
            )
