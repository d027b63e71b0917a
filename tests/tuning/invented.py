"""An invented search, with trials of all kinds."""

import math
import random
from dataclasses import replace

from tf_finetune.tuning.trial import COMPLETED, FAILED, RUNNING, Trial

HOSTILE = "</script><script>alert(1)</script> <b> & \"'\x1b[31m \ud800 $x_1$"

SPACE = {
    "fit.learning_rate": lambda chance: 10 ** chance.uniform(-5, -3.5),
    "fit.batch_size": lambda chance: chance.choice([8, 16, 32]),
    "fit.weight_decay": lambda chance: chance.choice([0.0, 0.001, 0.01, 0.1]),
    "model.freeze": lambda chance: chance.choice([None, "embeddings", "embeddings,0-3"]),
    "fit.patience": lambda chance: chance.choice([None, 2, 3]),
    "fit.label_smoothing": lambda chance: chance.choice([0, 0.1]),
    "model.model": lambda chance: chance.choice(["sentence-transformers/all-MiniLM-L6-v2", "bert " * 30, HOSTILE]),
    "fit.clip_norm": lambda chance: 1.0,
    "fit.power": lambda chance: chance.uniform(0.5, 2),
    "fit.deterministic": lambda chance: chance.random() < 0.5,
    "tokens.max_length": lambda chance: chance.randrange(64, 257),
    "fit.gradient_accumulation": lambda chance: chance.choice([1, 2]),
}


def invented_search(count=20, names=12, *, seed=3):
    """Completed trials, every sixth stopped early, two failed, the last unfinished."""
    chance = random.Random(seed)
    trials = []
    for number in range(count):
        values = {name: draw(chance) for name, draw in list(SPACE.items())[:names]}
        score = 0.9 - 0.05 * abs(math.log10(values["fit.learning_rate"]) + 4.3) + chance.gauss(0, 0.005)
        trial = Trial(f"{number:04}", values, COMPLETED, score, best_epoch=2, epochs=3, planned=3, seconds=61.5)
        if number % 6 == 4:
            trial = replace(trial, pruned=True, epochs=2)
        if number in (5, 13):
            trial = replace(trial, status=FAILED, score=None, best_epoch=0, reason=f"Out of memory. {HOSTILE}")
        if number and number == count - 1:
            trial = replace(trial, status=RUNNING, score=None, best_epoch=0)
        trials.append(trial)
    return trials


def all_failed(count=6):
    """A search without one completed trial."""
    return [replace(trial, status=FAILED, score=None, reason="NaN") for trial in invented_search(count)]
