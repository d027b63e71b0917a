"""Fine-tune Transformer text classifiers in Keras and TensorFlow, and serve them.

The public names are resolved on first use: importing the package loads no TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Config": "config",
    "DataConfig": "config",
    "ExportConfig": "config",
    "FitConfig": "config",
    "ModelConfig": "config",
    "RunConfig": "config",
    "TokensConfig": "config",
    "Examples": "data",
    "Splits": "data",
    "load_splits": "data",
    "read_examples": "data",
    "split_examples": "data",
    "TextEncoder": "tokens.encoder",
    "TokenTable": "tokens.table",
    "encode": "tokens.table",
    "load_tokenizer": "tokens.tokenizer",
    "input_spec": "tokens.pipeline",
    "make_dataset": "tokens.pipeline",
    "steps_per_epoch": "tokens.pipeline",
    "report_lengths": "tokens.lengths",
    "resolve_model": "model.resolve",
    "load_model": "model.pretrained",
    "compile_model": "model.compile",
    "make_loss": "model.loss",
    "make_optimizer": "model.optimizer",
    "make_schedule": "model.schedule",
    "freeze": "model.freeze",
    "report": "reporting.report",
    "push": "sharing.push",
    "write_card": "sharing.card",
    "train": "training.train",
    "fit": "training.fit",
    "plan": "training.plan",
    "reproduce": "training.reproduce",
    "ModelTuner": "tuning.model_tuner",
    "Space": "tuning.space",
    "Trial": "tuning.trial",
    "TuneConfig": "tuning.settings",
    "refit": "tuning.refit",
    "tune": "tuning.tune",
    "Comparison": "evaluation.comparison",
    "Evaluation": "evaluation.evaluation",
    "Scores": "evaluation.metrics",
    "calibrate": "evaluation.calibration",
    "compare": "evaluation.compare",
    "compute_scores": "evaluation.metrics",
    "evaluate": "evaluation.evaluate",
    "score_intervals": "evaluation.intervals",
    "cheap_audit": "audit.cheap",
    "inspect": "audit.inspect",
    "load_predictor": "evaluation.predictor",
    "predict": "evaluation.predict",
    "export": "serving.export",
    "verify": "serving.verification.verify",
    "Client": "serving.clients.client",
    "Prediction": "serving.clients.prediction",
    "smoke": "serving.clients.smoke",
    "versions": "serving.rollout.versions",
    "promote": "serving.rollout.promotion",
    "rollback": "serving.rollout.promotion",
    "prune": "serving.rollout.prune",
}
"""Public name -> the module that defines it."""

__all__ = sorted(_HOMES)

if TYPE_CHECKING:
    from tf_finetune.audit.cheap import cheap_audit
    from tf_finetune.audit.inspect import inspect
    from tf_finetune.config import Config, DataConfig, ExportConfig, FitConfig, ModelConfig, RunConfig, TokensConfig
    from tf_finetune.data import Examples, Splits, load_splits, read_examples, split_examples
    from tf_finetune.evaluation.calibration import calibrate
    from tf_finetune.evaluation.compare import compare
    from tf_finetune.evaluation.comparison import Comparison
    from tf_finetune.evaluation.evaluate import evaluate
    from tf_finetune.evaluation.evaluation import Evaluation
    from tf_finetune.evaluation.intervals import score_intervals
    from tf_finetune.evaluation.metrics import Scores, compute_scores
    from tf_finetune.evaluation.predict import predict
    from tf_finetune.evaluation.predictor import load_predictor
    from tf_finetune.model.compile import compile_model
    from tf_finetune.model.freeze import freeze
    from tf_finetune.model.loss import make_loss
    from tf_finetune.model.optimizer import make_optimizer
    from tf_finetune.model.pretrained import load_model
    from tf_finetune.model.resolve import resolve_model
    from tf_finetune.model.schedule import make_schedule
    from tf_finetune.reporting.report import report
    from tf_finetune.serving.clients.client import Client
    from tf_finetune.serving.clients.prediction import Prediction
    from tf_finetune.serving.clients.smoke import smoke
    from tf_finetune.serving.export import export
    from tf_finetune.serving.rollout.promotion import promote, rollback
    from tf_finetune.serving.rollout.prune import prune
    from tf_finetune.serving.rollout.versions import versions
    from tf_finetune.serving.verification.verify import verify
    from tf_finetune.sharing.card import write_card
    from tf_finetune.sharing.push import push
    from tf_finetune.tokens.encoder import TextEncoder
    from tf_finetune.tokens.lengths import report_lengths
    from tf_finetune.tokens.pipeline import input_spec, make_dataset, steps_per_epoch
    from tf_finetune.tokens.table import TokenTable, encode
    from tf_finetune.tokens.tokenizer import load_tokenizer
    from tf_finetune.training.fit import fit
    from tf_finetune.training.plan import plan
    from tf_finetune.training.reproduce import reproduce
    from tf_finetune.training.train import train
    from tf_finetune.tuning.model_tuner import ModelTuner
    from tf_finetune.tuning.refit import refit
    from tf_finetune.tuning.settings import TuneConfig
    from tf_finetune.tuning.space import Space
    from tf_finetune.tuning.trial import Trial
    from tf_finetune.tuning.tune import tune


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tf_finetune' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"tf_finetune.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
