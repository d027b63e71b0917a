#!/usr/bin/env python3
"""What deterministic kernels cost: CPU time of training steps with them and without, in turns, as ratios.

scripts/benchmark_determinism.py --rounds 5 --steps 20
"""

import argparse
import statistics
import subprocess
import sys

STEP = """
import sys, time
from tf_finetune import (DataConfig, compile_model, encode, input_spec, load_model, load_splits, load_tokenizer,
                         make_dataset, resolve_model)
from tf_finetune.backend import seed_everything
from tf_finetune.config import DEFAULT_MODEL
deterministic, steps = sys.argv[1] == "on", int(sys.argv[2])
seed_everything(1, deterministic=deterministic)
splits = load_splits(DataConfig(), seed=1)
checkpoint = resolve_model(DEFAULT_MODEL)
tokenizer = load_tokenizer(checkpoint.tokenizer_folder)
table = encode(splits.train, tokenizer, max_length=128)
model = load_model(checkpoint, tokenizer, label_names=splits.train.label_names)
compile_model(model, updates=steps)
batches = list(make_dataset(table, input_spec(model, tokenizer), batch_size=16, order="plain", seed=1).take(steps + 2))
for number, (inputs, labels) in enumerate(batches):
    if number == 2:
        start = time.process_time()
    model.train_on_batch(inputs, labels)
print((time.process_time() - start) / steps)
"""


def seconds(mode, steps):
    """CPU seconds a step in a process of its own; the first two steps, which trace, are left out."""
    words = [sys.executable, "-c", STEP, mode, str(steps)]
    return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    ratios = []
    for number in range(options.rounds):
        order = ("on", "off") if number % 2 else ("off", "on")
        taken = {mode: seconds(mode, options.steps) for mode in order}
        ratios.append(taken["on"] / taken["off"])
        print(f"round {number + 1}: on {taken['on']:.3f}, off {taken['off']:.3f} CPU s a step, ratio {ratios[-1]:.3f}")
    print(f"ratio on / off: median {statistics.median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f}")


if __name__ == "__main__":
    main()
