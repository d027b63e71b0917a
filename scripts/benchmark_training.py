#!/usr/bin/env python3
"""Training speed: ours against plain Keras, PyTorch and KerasHub, and against the machine's own limit.

scripts/benchmark_training.py --imdb IMDB --sst2 SST2 [--json FILE] [--plot FILE.svg]    all systems, one core and two
scripts/benchmark_training.py --imdb IMDB --sst2 SST2 --quick                            plain Keras alone, 8 minutes
scripts/benchmark_training.py --imdb IMDB --sst2 SST2 --levers                           what each lever gives
scripts/benchmark_training.py --imdb IMDB --sst2 SST2 --accuracy                         scores of ours and plain Keras

IMDB is a folder {train,test}/{pos,neg}/*.txt, SST2 one with train.tsv and validation.tsv. A round is the same texts for
all systems: 50 batches are sorted by length, cut into as many strata as --batches, and a batch is drawn of each.
Systems that group by length get these batches, the others the same texts at random. All fine-tune the same checkpoint
from the same token ids, with dropout and gradients clipped to norm 1; KerasHub has a model of the same shape and what
it compiles by itself. The limit is that of large matrix products, measured in the same rounds, for the operations that
the gradients need: no padding, and in the last layer no more than the first token. Two rivals at a time stand beside
ours, so that memory suffices. Ratios are taken round by round, and shown as median and range. What traces and compiles
runs before them and is shown as CPU seconds: two batches, and for ours, which compiles parts for each rounded number of
tokens, what all rounds took longer when they ran first.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarking.results import bar_chart, print_table, ratios, show, spread
from benchmarking.training_data import Data, needed_flops
from benchmarking.training_systems import GEMM_SIZE, gemm, keras_hub, ours, plain_keras, pytorch
from benchmarking.workers import ENVIRONMENTS, ROOT, TUNED_MALLOC, WORKER, Worker, environment, in_turns, say, serve

# Data set, tokens at most, rows a batch, batches a round, batches a round of --quick
CASES = {
    "imdb512": ("imdb", 512, 16, 6, 4),
    "imdb256": ("imdb", 256, 16, 6, 4),
    "sst2": ("sst2", 128, 32, 16, 12),
}
PACKAGES = {
    "torch": ["torch==2.13.0", "transformers==4.54.1"],
    "keras_hub": ["keras-hub==0.32.0", "tensorflow==2.21.0"],
}
# Function, whether its batches are grouped by length, environment, environment variables
SYSTEMS = {
    "ours": (ours, False, None, {}),
    "plain Keras": (plain_keras, False, None, {}),
    "PyTorch": (pytorch, False, "torch", TUNED_MALLOC),
    "PyTorch, grouped": (pytorch, True, "torch", TUNED_MALLOC),
    "KerasHub": (keras_hub, False, "keras_hub", {}),
}
LEVERS = {
    "plain Keras": SYSTEMS["plain Keras"],
    "fused Adam": (partial(ours, encoder="model"), False, None, {}),
    "fused Adam, grouped": (partial(ours, encoder="model"), True, None, {}),
    "unpadded encoder": (partial(ours, adam="keras"), False, None, {}),
    "both: ours": SYSTEMS["ours"],
    "both, grouped": (ours, True, None, {}),
}
KEYS = {
    "plain Keras": "vs_keras",
    "PyTorch": "vs_torch",
    "PyTorch, grouped": "vs_torch_grouped",
    "KerasHub": "vs_keras_hub",
}
FUNCTIONS = {name: system[0] for name, system in (SYSTEMS | LEVERS).items()} | {"GEMM": gemm}
PRODUCTS = 60
"""Large matrix products a round: a few CPU seconds."""
AT_ONCE = 2
QUICK_SECONDS = 420
NO_SCHEDULE = 100_000
"""Updates of the schedule where the rate does not matter: all measured ones are within its warm-up."""


def start(name, system, options, data, *, cores, seed=1, updates=NO_SCHEDULE):
    """A worker of one system on one data set."""
    _, _, place, variables = system
    python = sys.executable if place is None else environment(place, PACKAGES[place], options.environments)
    return Worker(
        __file__,
        name,
        cores=cores,
        python=python,
        variables=variables if place is None else {**variables, "HF_HUB_OFFLINE": "1"},
        model=options.model,
        checkpoint=str(data.checkpoint),
        tokens=str(data.file),
        train_rows=data.rows,
        max_length=data.max_length,
        seed=seed,
        updates=updates,
    )


# Speed ----------------------------------------------------------------------------------------------------------------


def measure(systems, options, data, case, *, cores, seconds):
    """Answers of each system and of the matrix products, and the lengths of the texts, round by round."""
    _, _, batch_size, batches, quick_batches = CASES[case]
    batches = options.batches or (quick_batches if options.quick else batches)
    end = None if seconds is None else time.monotonic() + seconds
    drawn = {}

    def request(number, name):
        if name == "GEMM":
            return {"products": PRODUCTS}
        if number not in drawn:
            drawn[number] = data.draw(number, batches=batches, batch_size=batch_size)
        return {"rows": drawn[number][systems[name][1]], "batch_size": batch_size}

    workers, before = {}, {}
    try:
        for name, system in systems.items():
            say(f"{case}, {cores} core{'s' * (cores > 1)}: {name} starts")
            workers[name] = start(name, system, options, data, cores=cores)
            draw = request(options.rounds, name)
            first = workers[name].run({**draw, "rows": draw["rows"][: 2 * batch_size]})  # traces
            compiled = range(0 if name in KEYS else options.rounds)
            before[name] = first["cpu"], [workers[name].run(request(number, name))["cpu"] for number in compiled]
        workers["GEMM"] = Worker(__file__, "GEMM", cores=cores)
        seconds = None if end is None else end - time.monotonic()
        answers = in_turns(workers, request, rounds=options.rounds, seconds=seconds)
    finally:
        for worker in workers.values():
            worker.stop()
    lengths = [data.lengths[drawn[number][0]] for number in range(len(answers["GEMM"]))]
    seconds = {
        name: first + sum(cpu - answer["cpu"] for cpu, answer in zip(warm, answers[name]))
        for name, (first, warm) in before.items()
    }
    return answers, lengths, seconds


def summarize(answers, lengths, checkpoint, *, base):
    """What was found in one case: rates, share of the limit, memory, and seconds against those of `base`.

    With ours as the base, how many times as long another system takes; else how many times as fast it is.
    """
    systems = {name: rows for name, rows in answers.items() if name != "GEMM"}
    limits = [PRODUCTS * 2 * GEMM_SIZE**3 / answer["cpu"] for answer in answers["GEMM"]]  # operations a CPU second
    needed = [needed_flops(texts, checkpoint) for texts in lengths]
    found = {"gemm_gflops": spread([limit / 1e9 for limit in limits]), "systems": {}}
    for name, rows in systems.items():
        pair = (answers[base], rows) if base == "ours" else (rows, answers[base])
        shares = [flops / row["cpu"] / limit for flops, row, limit in zip(needed, rows, limits)]
        found["systems"][name] = {
            "samples_per_cpu_second": spread([len(texts) / row["cpu"] for texts, row in zip(lengths, rows)]),
            "samples_per_second": spread([len(texts) / row["wall"] for texts, row in zip(lengths, rows)]),
            "cpu": ratios(*pair),
            "wall": ratios(*pair, "wall"),
            "of_gemm_limit": spread(shares),
            "peak_mb": round(rows[-1]["memory"] / 1e6),
            "loss": round(statistics.mean(row["result"] for row in rows), 4),
        }
    if base == "ours":
        found["of_gemm_limit"] = found["systems"]["ours"]["of_gemm_limit"]
        found.update({key: found["systems"][name]["cpu"] for name, key in KEYS.items() if name in systems})
    return found


def print_case(title, found, *, base):
    """One case as a table."""
    compared = ["CPU time / ours", "wall time / ours"]
    if base != "ours":
        compared = [f"times as fast as {base}, CPU", "wall"]
    keys = ("samples_per_cpu_second", "samples_per_second", "cpu", "wall", "of_gemm_limit")
    plain = ("peak_mb", "before_cpu_seconds", "loss")
    header = [
        "",
        "samples / CPU s",
        "samples / s",
        *compared,
        "of the limit",
        "peak MB",
        "before, CPU s",
        "loss",
    ]
    rows = [
        [name, *(show(system[key]) for key in keys), *(system[key] for key in plain)]
        for name, system in found["systems"].items()
    ]
    print_table(title, header, rows)
    print(f"\nthe limit, large matrix products: {show(found['gemm_gflops'], 0)} GFLOP a CPU second")


def at_once(systems, base):
    """The base with `AT_ONCE` of the others at a time: each holds up to 7 GB, and keeps them between its turns."""
    others = [name for name in systems if name != base]
    for start in range(0, len(others), AT_ONCE):
        names = {base, *others[start : start + AT_ONCE]}
        yield {name: system for name, system in systems.items() if name in names}


def compare(options, systems, cores_list, *, base):
    """Measures all cases; gives what goes to the JSON file: one core at the top, more cores below it."""
    results = {}
    end = time.monotonic() + QUICK_SECONDS
    todo = [(cores, case) for cores in cores_list for case in options.cases]
    for number, (cores, case) in enumerate(todo):
        seconds = (end - time.monotonic()) / (len(todo) - number) if options.quick else None
        data, found = options.data(case), {"systems": {}}
        for some in at_once(systems, base):
            answers, lengths, before = measure(some, options, data, case, cores=cores, seconds=seconds)
            part = summarize(answers, lengths, data.checkpoint, base=base)
            for name, taken in before.items():
                part["systems"][name]["before_cpu_seconds"] = round(taken, 1)
            found = {**part, **found, "systems": {**part["systems"], **found["systems"]}}
        rounds = len(lengths)
        title = (
            f"{case}, {cores} core{'s' * (cores > 1)}, {rounds} round{'s' * (rounds > 1)} of {len(lengths[0])} texts"
        )
        print_case(title, found, base=base)
        place = results.setdefault(case, {})
        place.update(found if cores == min(cores_list) else {f"{cores}_cores": found})
    return results


def plot(results):
    """Samples a CPU second of all systems as bars."""
    groups = {
        case: {name: system["samples_per_cpu_second"] for name, system in found["systems"].items()}
        for case, found in results.items()
    }
    return bar_chart("Fine-tuning", "samples a CPU second", groups)


# Accuracy -------------------------------------------------------------------------------------------------------------


def compare_accuracy(options):
    """Accuracy of ours and plain Keras, trained on the same batches with the same schedule, for several seeds."""
    results = {}
    for case in options.cases:
        data, batch_size = options.data(case), CASES[case][2]
        found = {name: [] for name in ("ours", "plain Keras")}
        for seed in range(options.seeds):
            rows = data.epochs(options.epochs, rows=options.rows, batch_size=batch_size, seed=seed)
            for name, scores in found.items():
                updates = -(-len(rows) // batch_size)
                worker = start(name, SYSTEMS[name], options, data, cores=2, seed=seed, updates=updates)
                worker.run({"rows": rows, "batch_size": batch_size})
                tested = {"rows": data.test_rows, "batch_size": batch_size, "score": True}
                scores.append(worker.run(tested)["result"])
                worker.stop()
                say(f"{case}, seed {seed}: {name} {scores[-1]:.4f}")
        table = [
            [name, f"{statistics.mean(scores):.4f}", f"{statistics.stdev(scores) if len(scores) > 1 else 0:.4f}"]
            + [" ".join(f"{value:.4f}" for value in scores)]
            for name, scores in found.items()
        ]
        title = (
            f"{case}: {len(rows) // options.epochs} texts, {options.epochs} epoch(s), {len(data.test_rows)} test texts"
        )
        print_table(title, ["accuracy", "mean", "standard deviation", "seeds"], table)
        results[case] = found
    return {"accuracy": results}


# The command ----------------------------------------------------------------------------------------------------------


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--imdb", type=Path, metavar="FOLDER")
    parser.add_argument("--sst2", type=Path, metavar="FOLDER")
    parser.add_argument("--cases", nargs="+", choices=CASES, help="default: all of the data given")
    parser.add_argument("--model", default="sentence-transformers/all-MiniLM-L6-v2")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--quick", action="store_true", help="the ratios to plain Keras alone, within 8 minutes")
    mode.add_argument("--levers", action="store_true", help="what each lever gives")
    mode.add_argument("--accuracy", action="store_true", help="accuracy of ours and plain Keras")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, help="only these beside ours")
    parser.add_argument("--cores", type=int, nargs="+", choices=(1, 2), help="default: 1 2; 1 for --quick and --levers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, help="batches a round; default 6 for IMDB and 16 for SST-2")
    parser.add_argument("--seeds", type=int, default=3, help="of --accuracy")
    parser.add_argument("--rows", type=int, default=2000, help="training texts of --accuracy")
    parser.add_argument("--epochs", type=int, default=2, help="of --accuracy")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="where those of the rivals are kept")
    options = parser.parse_args()
    given = {name: path for name, path in (("imdb", options.imdb), ("sst2", options.sst2)) if path}
    options.cases = options.cases or [case for case in CASES if CASES[case][0] in given]
    missing = {CASES[case][0] for case in options.cases} - set(given)
    if missing or not given:
        parser.error(f"give the data: --{' and --'.join(sorted(missing) or ['imdb', 'sst2'])}")
    if options.plot and (options.accuracy or options.levers):
        parser.error("--plot: no effect with --accuracy and --levers")
    if (options.quick or options.levers or options.accuracy) and options.systems:
        parser.error("--systems: no effect with --quick, --levers and --accuracy")
    return options, given


def main():
    options, given = parse()
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        known = {}

        def data(case):
            name, max_length = CASES[case][:2]
            if case not in known:
                known[case] = Data(name, given[name], max_length=max_length, model=options.model, folder=folder)
            return known[case]

        options.data = data
        if options.accuracy:
            results = compare_accuracy(options)
        elif options.levers:
            results = {"levers": compare(options, LEVERS, options.cores or [1], base="plain Keras")}
        else:
            names = ["plain Keras"] if options.quick else options.systems or list(SYSTEMS)
            systems = {name: SYSTEMS[name] for name in SYSTEMS if name in {"ours", *names}}
            results = compare(options, systems, options.cores or ([1] if options.quick else [1, 2]), base="ours")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    if options.plot:
        options.plot.write_text(plot(results))


if __name__ == "__main__":
    if sys.argv[1:] == [WORKER]:
        serve(FUNCTIONS)
    else:
        main()
