#!/usr/bin/env python3
"""Tuning: what a trial costs beyond its training, and whether memory grows from trial to trial.

scripts/benchmark_tuning.py --sst2 SST2 [--rounds 3] [--trials 4] [--memory-trials 20] [--json FILE] [--plot FILE.svg]
scripts/benchmark_tuning.py --sst2 SST2 --quick     one round of two trials: two CPU minutes, not thirty

SST2 is a folder with train.tsv and validation.tsv, the first phrases of which are trained on for one epoch a trial; the
learning rate alone is searched, so that all trials are the same work. `tf_finetune.tune` trains each trial in a process
of its own. Optuna, by its defaults, drives `tf_finetune.fit` in one process. keras-tuner's RandomSearch builds a Keras
3 model of MiniLM's shape with random weights, in one process, and trains it for as many steps on rows padded to one
length. Each search runs in a fresh process, in turns with the others.

Training is what the batches take, training and validation: their number times the median batch. What they take longer
is tracing and compiling. Shown are CPU seconds with those of all processes, which other work on the machine moves
little, and wall seconds, as median and range over the rounds. Memory is the peak of resident memory within a trial, of
a longer search of each system; for ours that of the trial's process and what the search's process has, though both
have the same pages of shared libraries. Optuna is installed into a folder of --environments.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarking.results import linear_chart, print_table, show, spread
from benchmarking.trial_watch import FIT, PARTS
from benchmarking.tuning_systems import MODEL, TRIAL, keras_tuner, optuna, ours, run_trial
from benchmarking.workers import ENVIRONMENTS, ROOT, WORKER, Worker, say, serve

OURS, OPTUNA, KERAS_TUNER = "tf_finetune.tune", "optuna, same trainer", "keras-tuner, Keras 3"
SYSTEMS = {OURS: ours, OPTUNA: optuna, KERAS_TUNER: keras_tuner}
PACKAGES = ("optuna==5.0.0", "alembic==1.20.1", "colorlog==6.12.0", "mako==1.4.3", "sqlalchemy==2.1.9")
"""Optuna and what it needs beyond our own dependencies."""
ROWS = {"train": 256, "validation": 96}
MAX_LENGTH = 128
KINDS = {"cpu": "CPU s", "wall": "s"}
TRAINING, TRACING, CALLBACKS, OUTSIDE, BEYOND = (
    "training",
    "tracing, compiling",
    "the rest of fit",
    "outside of fit",
    "all beyond training",
)
SHOWN_TRIALS = (1, 5, 10, 20)


# Measuring ------------------------------------------------------------------------------------------------------------


def write_data(sst2, folder):
    """The phrases as files for ours, and as padded token ids for Keras 3; gives MiniLM's config.json."""
    sys.path.insert(0, str(ROOT))
    import numpy as np

    from tf_finetune import DataConfig, encode, load_splits, load_tokenizer, resolve_model

    files = {name: folder / f"{name}.tsv" for name in ROWS}
    for name, path in files.items():
        with open(sst2 / path.name, encoding="utf-8") as file:
            path.write_text("".join(next(file) for _ in range(1 + ROWS[name])), encoding="utf-8")
    config = DataConfig(data=(str(files["train"]),), validation=(str(files["validation"]),))
    splits, checkpoint = load_splits(config, seed=0), resolve_model(MODEL)
    tokenizer = load_tokenizer(checkpoint.tokenizer_folder)
    tables = {name: encode(getattr(splits, name), tokenizer, max_length=MAX_LENGTH) for name in ROWS}
    length = max(table.lengths.max() for table in tables.values())
    arrays = {}
    for name, table in tables.items():
        ids = np.zeros([len(table), length], np.int32)
        ids[np.arange(length) < table.lengths[:, None]] = table.ids
        arrays |= {f"{name}_ids": ids, f"{name}_labels": table.labels}
    np.savez(folder / "tokens.npz", **arrays)
    return checkpoint.folder / "config.json"


def optuna_packages(folder):
    """Folder with optuna; made once, and again when the list has changed."""
    place = Path(folder) / "optuna"
    stamp, wanted = place / "packages.txt", "\n".join(PACKAGES)
    if not (stamp.is_file() and stamp.read_text() == wanted):
        say(f"installing into {place}: {', '.join(PACKAGES)}")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", place]
        done = subprocess.run([*command, *PACKAGES], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"pip could not install {', '.join(PACKAGES)}:\n{done.stderr[-2000:]}")
        stamp.write_text(wanted)
    return place


def search(name, trials, options, settings):
    """A search of one system in a process of its own."""
    variables = {"PYTHONPATH": str(optuna_packages(options.environments))} if name == OPTUNA else {}
    worker = Worker(__file__, name, cores=options.cores, variables=variables, program=__file__, **settings)
    try:
        return worker.run({"trials": trials})["result"]
    finally:
        worker.stop()


def measure(options, folder):
    """Searches of all rounds by system, and the one that memory is looked at in."""
    config = write_data(options.sst2, folder)
    settings = {"folder": str(folder), "tokens": str(folder / "tokens.npz"), "shape": str(config)}
    rounds, longer = {name: [] for name in SYSTEMS}, {}
    for number in range(options.rounds):
        for name in list(SYSTEMS)[:: -1 if number % 2 else 1]:
            say(f"round {number + 1} of {options.rounds}: {name}, {options.trials} trials")
            rounds[name].append(search(name, options.trials, options, settings))
    for name in SYSTEMS:
        if options.memory_trials:
            say(f"memory: {name}, {options.memory_trials} trials")
            longer[name] = search(name, options.memory_trials, options, settings)
    return rounds, longer or {name: searches[-1] for name, searches in rounds.items()}


# Results --------------------------------------------------------------------------------------------------------------


def split_fit(trial, kind):
    """Seconds of training, of tracing and compiling, and of the rest of `model.fit` in a trial."""
    batches = [[seconds[kind] for seconds in found] for found in trial["batches"].values()]
    training = sum(len(found) * statistics.median(found) for found in batches)
    tracing = sum(map(sum, batches)) - training
    return {TRAINING: training, TRACING: tracing, CALLBACKS: trial["parts"][FIT][kind] - training - tracing}


def per_trial(found, kind):
    """Seconds of a trial of a search, on average, by where they are spent."""
    trials = found["trials"]
    parts = [split_fit(trial, kind) for trial in trials]
    mean = {name: statistics.mean(part[name] for part in parts) for name in parts[0]}
    mean[OUTSIDE] = found[("cpu", "wall")[kind]] / len(trials) - sum(mean.values())
    mean[BEYOND] = sum(mean.values()) - mean[TRAINING]
    return mean


def parts_of(found):
    """CPU seconds of each part of a trial beyond training, on average, where our trainer trains."""
    trials = found["trials"]
    mean = per_trial(found, 0)
    parts = {name: statistics.mean(trial["parts"].get(name, (0.0, 0.0))[0] for trial in trials) for name in PARTS}
    whole = [trial["process"] for trial in trials if "process" in trial]
    if whole:
        parts["end of the trial's process"] = (found["cpu"] - found["own"] - sum(whole)) / len(trials)
        parts["the search's process"] = found["own"] / len(trials)
    parts["anything else"] = mean[OUTSIDE] - sum(parts.values())
    return {**parts, TRACING: mean[TRACING], CALLBACKS: mean[CALLBACKS]}


def memory_of(found):
    """Megabytes at most within each trial: all processes, and for ours the search's process alone."""
    trials = found["trials"]
    memory = {"": [(trial["peak"] + trial.get("search", 0)) / 1e6 for trial in trials]}
    if "search" in trials[0]:
        memory[", the search's process"] = [trial["search"] / 1e6 for trial in trials]
    return memory


def spreads(rows):
    """The spread of each value of some mappings."""
    return {name: spread([row[name] for row in rows]) for name in rows[0]}


def summarize(rounds, longer):
    """Medians and ranges of each system, and the memory in each trial of the longer searches."""
    found = {"systems": {}, "parts": {}, "memory_mb": {}}
    for name, searches in rounds.items():
        kinds = {kind: spreads([per_trial(one, i) for one in searches]) for i, kind in enumerate(KINDS)}
        found["systems"][name] = {**kinds, "start_cpu": spread([one["start"] for one in searches])}
        if name != KERAS_TUNER:
            found["parts"][name] = spreads([parts_of(one) for one in searches])
        for suffix, values in memory_of(longer[name]).items():
            found["memory_mb"][name + suffix] = [round(value) for value in values]
    return found


def print_results(results, options):
    """All tables."""
    for kind, unit in KINDS.items():
        columns = (BEYOND, OUTSIDE, TRACING, CALLBACKS, TRAINING)
        rows = [[name, *(show(one[kind][column]) for column in columns)] for name, one in results["systems"].items()]
        title = f"{unit} a trial, in {options.rounds} searches of {options.trials} trials each"
        print_table(title, ["", *columns], rows)
    rows = [[name, show(one["start_cpu"])] for name, one in results["systems"].items()]
    print_table("Once a search: start of its process and imports", ["", "CPU s"], rows)
    parts = list(dict.fromkeys(part for one in results["parts"].values() for part in one))
    rows = [[part, *(show(one[part]) if part in one else "-" for one in results["parts"].values())] for part in parts]
    print_table("Where it goes with our trainer, CPU s a trial", ["", *results["parts"]], rows)
    memory = results["memory_mb"]
    numbers = sorted({min(number, len(line)) for number in SHOWN_TRIALS for line in memory.values()})
    rows = [[name, *(line[number - 1] for number in numbers)] for name, line in memory.items()]
    print_table("Peak memory in a trial, MB", ["trial", *map(str, numbers)], rows)


def draw(memory):
    """The memory of each trial as lines."""
    lines = {name: dict(enumerate(line, start=1)) for name, line in memory.items()}
    return linear_chart("Memory from trial to trial", "trial", "peak of resident memory in a trial, MB", lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sst2", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=4, help="trials of a search in a round")
    parser.add_argument("--memory-trials", type=int, default=20, help="trials of the search for memory; 0 for none")
    parser.add_argument("--cores", type=int, default=1, help="cores that all processes of a search share")
    parser.add_argument("--quick", action="store_true", help="one round of two trials, and no other search for memory")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.trials, options.memory_trials = 1, 2, 0
    with tempfile.TemporaryDirectory() as folder:
        rounds, longer = measure(options, Path(folder))
    results = summarize(rounds, longer)
    print_results(results, options)
    if options.json:
        options.json.write_text(json.dumps({**results, "rounds": rounds, "longer": longer}, indent=2) + "\n")
    if options.plot:
        options.plot.write_text(draw(results["memory_mb"]))


if __name__ == "__main__":
    if sys.argv[1:] == [WORKER]:
        serve(SYSTEMS)
    elif sys.argv[1:2] == [TRIAL]:
        sys.exit(run_trial(*sys.argv[2:]))
    else:
        main()
