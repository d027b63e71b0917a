"""The trial: a model of two layers trained for two steps, exported, and asked again by TensorFlow alone."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from tf_finetune.doctor.child import Report, ask
from tf_finetune.doctor.finding import FAIL, OK, Finding
from tf_finetune.doctor.installation import Installation
from tf_finetune.doctor.packages import STACK

__all__ = ["answer", "run_trial"]

TIMEOUT = 600.0
"""Seconds; it takes twenty on two cores."""

DOING = {"fit": "training a model of two layers", "export": "exporting it", "verify": "asking the export"}
"""Step -> what it does, for messages."""


def run_trial(installation: Installation, *, timeout: float = TIMEOUT) -> Finding:
    """Runs the trial in a process of its own, in a folder that vanishes afterwards. Nothing is downloaded.

    Args:
        installation: Module path and environment variables; not a part in a cluster (``TF_CONFIG``).
        timeout: Seconds that it may take.
    """
    environment = {name: value for name, value in installation.environment.items() if name != "TF_CONFIG"}
    alone = dataclasses.replace(installation, environment=environment | {"HF_HUB_OFFLINE": "1"})
    with tempfile.TemporaryDirectory(prefix="tf_finetune-trial-") as folder:
        reply = ask(alone, __name__, folder, timeout=timeout)
    if reply.fault is None:
        return Finding(
            "trial",
            OK,
            "a model of two layers was trained for two steps, exported, and asked again by TensorFlow alone: "
            f"{reply.facts['message']}",
        )
    step = DOING.get(str(reply.facts.get("step")), "beginning")
    return Finding(
        "trial",
        FAIL,
        f"It failed at {step}: {reply.fault}.",
        installation.install(*STACK, options=("--force-reinstall",)),
    )


def answer(report: Report, folder: str) -> None:
    """Trains, exports and asks: what the process does.

    Args:
        report: Is told each `step` as it begins, and the last `message`.
        folder: An empty folder.

    Raises:
        FinetuneError: A step failed.
    """
    from tf_finetune.config import Config, DataConfig, ExportConfig, FitConfig, ModelConfig, RunConfig, TokensConfig
    from tf_finetune.doctor.trial_model import POSITIONS, write_checkpoint, write_reviews
    from tf_finetune.errors import ExportError
    from tf_finetune.serving.export import export
    from tf_finetune.serving.verification.verify import verify
    from tf_finetune.training.fit import fit

    report(step="fit")
    reviews, checkpoint = Path(folder) / "reviews.csv", Path(folder) / "checkpoint"
    checkpoint.mkdir()
    write_reviews(reviews)
    write_checkpoint(checkpoint)
    run = fit(
        Config(
            data=DataConfig(data=(str(reviews),), validation_split=1 / 3),
            tokens=TokensConfig(max_length=POSITIONS, cache_dir=str(Path(folder) / "cache")),
            model=ModelConfig(model=str(checkpoint), encoder="model"),
            fit=FitConfig(epochs=1, batch_size=8, batching="plain"),
            export=ExportConfig(export=False),
            run=RunConfig(output=str(Path(folder) / "trial")),
        )
    ).run
    report(step="export")
    version = export(run.path, signatures=["token_ids"], keep_texts=1, encoder="model")
    report(step="verify")
    checks = verify(version, against_run=False, c_api=False).checks
    missed = [f"{check.name}: {check.message}" for check in checks if not check.ok]
    if missed:
        raise ExportError("; ".join(missed))
    report(message=next(check.message for check in checks if "signature" in check.name))
