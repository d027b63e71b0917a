"""Scores and predictions of a trained classifier."""

from tf_finetune.evaluation.compare import compare
from tf_finetune.evaluation.comparison import Comparison
from tf_finetune.evaluation.evaluate import evaluate
from tf_finetune.evaluation.evaluation import Evaluation
from tf_finetune.evaluation.intervals import ScoreIntervals, score_intervals
from tf_finetune.evaluation.metrics import ClassScores, Scores, compute_scores
from tf_finetune.evaluation.predict import PredictResult, predict, predict_lines
from tf_finetune.evaluation.table import format_scores
from tf_finetune.evaluation.writers import RowWriter, check_output, open_writer

__all__ = [
    "ClassScores",
    "Comparison",
    "Evaluation",
    "PredictResult",
    "RowWriter",
    "ScoreIntervals",
    "Scores",
    "check_output",
    "compare",
    "compute_scores",
    "evaluate",
    "format_scores",
    "open_writer",
    "predict",
    "predict_lines",
    "score_intervals",
]
