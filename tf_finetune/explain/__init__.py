"""Which words of a text drove a prediction."""

from tf_finetune.explain.explain import explain, explain_many
from tf_finetune.explain.explanation import ExplainedText, Explanation, Word

__all__ = ["ExplainedText", "Explanation", "Word", "explain", "explain_many"]
