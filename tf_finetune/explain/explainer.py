"""`Explainer`: a loaded run that tells which words drove its answers."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tf_finetune.errors import ConfigError, DataError
from tf_finetune.evaluation.logits import softmax
from tf_finetune.explain.embeddings import EmbeddedModel, embedded_model
from tf_finetune.explain.explanation import STEPS, ExplainedText, Explanation, Word
from tf_finetune.explain.gradients import integrate
from tf_finetune.explain.tokens import TracedText, trace_tokens
from tf_finetune.explain.words import group_words
from tf_finetune.model.trained import load_run
from tf_finetune.run import ModelFolder
from tf_finetune.tokens.encoder import TextEncoder

__all__ = ["Explainer", "load_explainer"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Explainer:
    """A loaded run.

    Attributes:
        label_names: Class names in index order.
        encoder: The run's tokenizer with its length and truncation.
        model: The classifier, by the embeddings of its words.
        temperature: What the logits are divided by before the softmax; the run's calibration.
    """

    label_names: tuple[str, ...]
    encoder: TextEncoder
    model: EmbeddedModel
    temperature: float = 1.0

    def explain(
        self, text: str, pair: str | None = None, *, label: str | None = None, steps: int = STEPS
    ) -> Explanation:
        """Explains the answer to one text; see `tf_finetune.explain.explain`."""
        if self.encoder.pairs and pair is None:
            raise DataError("The model was trained on sentence pairs: give the second one with --pair.")
        if not self.encoder.pairs and pair is not None:
            raise DataError("--pair: the model was trained on single texts. Leave it out.")
        tokens = trace_tokens(self.encoder, text, pair)
        logits = self.model.checked_logits(tokens.ids, tokens.types)
        baseline = self._baseline()
        start, end = self.model.embed(tokens.replaced(baseline)), self.model.embed(tokens.ids)
        index = int(logits.argmax()) if label is None else self._index(label)
        integral = integrate(lambda points: self.model.logits(points, tokens.types)[:, index], start, end, steps=steps)
        explained = [_words(one, integral.attributions) for one in tokens.texts]
        probabilities = softmax(logits, temperature=self.temperature)
        result = Explanation(
            label=self.label_names[index],
            probabilities=dict(zip(self.label_names, map(float, probabilities), strict=True)),
            text=explained[0],
            pair=explained[1] if len(explained) > 1 else None,
            logit=integral.end,
            baseline_logit=integral.start,
            baseline=str(self.encoder.tokenizer.convert_ids_to_tokens(baseline)),
            total=float(integral.attributions.sum()),
            steps=integral.steps,
        )
        if not result.is_complete:
            logger.warning(
                "with %d steps the attributions miss the difference in logit by %.1f %% still",
                result.steps,
                100 * result.error,
            )
        return result

    def _baseline(self) -> int:
        """Id of the token that stands for a word that is not there: that of masking, or of padding without one."""
        tokenizer = self.encoder.tokenizer
        mask = tokenizer.mask_token_id
        is_known = mask is not None and mask != tokenizer.unk_token_id and mask < self.model.rows
        return int(mask if is_known else tokenizer.pad_token_id)

    def _index(self, label: str) -> int:
        if label not in self.label_names:
            raise ConfigError(
                f"--label: expected one of {', '.join(map(repr, self.label_names))}. Received: {label!r}."
            )
        return self.label_names.index(label)


def load_explainer(folder: str | Path) -> Explainer:
    """Loads a finished run for explanations.

    Args:
        folder: Model folder, `saved_models/<name>`.

    Raises:
        RunError: The folder holds no finished run.
        ModelError: What it holds is unsafe or damaged, or has no word embeddings.
    """
    loaded = load_run(ModelFolder(Path(folder)))
    manifest, model = loaded.manifest, embedded_model(loaded.model, loaded.spec)
    return Explainer(manifest.label_names, loaded.encoder, model, manifest.temperature)


def _words(traced: TracedText, attributions: np.ndarray) -> ExplainedText:
    """Sums the attributions of the tokens, float64 `[length]`, over each word of one text."""
    words = []
    for group in group_words(traced.text, traced.spans, traced.cut):
        places = [traced.first + token for token in group.tokens]
        words.append(Word(group.start, group.end, float(attributions[places].sum())))
    return ExplainedText(traced.text, tuple(words), traced.cut)
