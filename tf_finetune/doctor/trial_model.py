"""A BERT of two layers and a few invented reviews, written by code: what the trial trains, without a download."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from tf_finetune.files import write_text

if TYPE_CHECKING:
    import numpy as np

__all__ = ["POSITIONS", "write_checkpoint", "write_reviews"]

Shapes = dict[str, tuple[int, ...]]

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
THINGS = ("film", "book", "meal", "phone", "story", "cast")
WORDS_OF = {"positive": ("good", "lovely", "superb", "funny"), "negative": ("bad", "awful", "dull", "stale")}
VOCABULARY = (*SPECIAL, "the", "was", ".", *THINGS, *WORDS_OF["positive"], *WORDS_OF["negative"])

LAYERS, WIDTH, POSITIONS = 2, 32, 16
INNER = 2 * WIDTH
"""Size of the feed-forward layers."""


def write_reviews(path: Path) -> None:
    """Writes 24 different reviews as CSV, two classes alike in number."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("text", "label"))
    for number in range(24):
        label = ("positive", "negative")[number % 2]
        writer.writerow((f"the {THINGS[number % 6]} was {WORDS_OF[label][number // 6]} .", label))
    write_text(path, text.getvalue())


def write_checkpoint(folder: Path) -> None:
    """Writes a random encoder with its tokenizer, in the layout of the hub: safetensors as PyTorch names them.

    It is the layout of nearly all models there, and the one that transformers 4.55 to 4.57 cannot load into TensorFlow.

    Args:
        folder: An empty folder.
    """
    import numpy as np
    from safetensors.numpy import save_file

    settings = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": len(VOCABULARY),
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "intermediate_size": INNER,
        "max_position_embeddings": POSITIONS,
        "pad_token_id": 0,
    }
    write_text(folder / "config.json", json.dumps(settings))
    _write_tokenizer(folder)
    random = np.random.default_rng(7)
    weights = {name: _initial(name, shape, random) for name, shape in _shapes().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _write_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    ids = {token: number for number, token in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {f"{token.strip('[]').lower()}_token": token for token in SPECIAL}
    write_text(folder / "tokenizer_config.json", json.dumps({"tokenizer_class": "BertTokenizer", **named}))


def _shapes() -> Shapes:
    """Name of each weight of PyTorch's BertModel -> its shape; dense kernels are `[out, in]`."""
    norm: Shapes = {"weight": (WIDTH,), "bias": (WIDTH,)}
    dense: Shapes = {"weight": (WIDTH, WIDTH), "bias": (WIDTH,)}
    parts: dict[str, Shapes] = {
        "embeddings.word_embeddings": {"weight": (len(VOCABULARY), WIDTH)},
        "embeddings.position_embeddings": {"weight": (POSITIONS, WIDTH)},
        "embeddings.token_type_embeddings": {"weight": (2, WIDTH)},
        "embeddings.LayerNorm": norm,
        "pooler.dense": dense,
    }
    for layer in range(LAYERS):
        start = f"encoder.layer.{layer}"
        parts |= {f"{start}.attention.self.{part}": dense for part in ("query", "key", "value")}
        parts |= {f"{start}.attention.output.dense": dense, f"{start}.attention.output.LayerNorm": norm}
        parts[f"{start}.intermediate.dense"] = {"weight": (INNER, WIDTH), "bias": (INNER,)}
        parts |= {f"{start}.output.dense": {"weight": (WIDTH, INNER), "bias": (WIDTH,)}}
        parts |= {f"{start}.output.LayerNorm": norm}
    return {f"{part}.{kind}": shape for part, kinds in parts.items() for kind, shape in kinds.items()}


def _initial(name: str, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """A weight as BERT starts: normal matrices, zero biases, ones for the gains of layer norms."""
    import numpy as np

    if len(shape) == 1:
        return np.full(shape, name.endswith("LayerNorm.weight"), np.float32)
    return random.normal(0.0, 0.02, shape).astype(np.float32)
