#!/usr/bin/env python3
"""Scale: what a review costs before the first training step, from 1,000 to 1,000,000 reviews.

scripts/benchmark_scale.py --imdb IMDB [--rows 1000 10000] [--repeats 2] [--json FILE] [--plot FILE.svg] [--quick]

IMDB is a folder train/{pos,neg}/*.txt. Its words make synthetic reviews, as many words each as its own reviews have, in
a CSV file in --folder (5 GB for all sizes and their token tables). Two processes a size do on one core what `fit` does
before its first step, the second with the token tables that the first has left in the cache. Imports and the tracing
of a first small data set come before. Shown are CPU milliseconds a review, their ratios to 10,000 reviews, and peak
memory: private, and with the pages of the mapped texts and tokens, which the system takes back at will. --quick stops
at 100,000 reviews. More than that is run once, fewer --repeats times, in turns.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarking.results import line_chart, print_table
from benchmarking.workers import ROOT, WORKER, Worker, peak_memory, say, serve

ROWS = (1_000, 10_000, 100_000, 1_000_000)
REFERENCE, QUICK = 10_000, 100_000
SYSTEM = "tf_finetune"
READ, TOKENIZE, WRITE, OPEN, REPORT, BATCH = (
    "read, check and split",
    "tokenize",
    "write the cache",
    "open from the cache",
    "padding report",
    "first batch",
)
FIRST, AGAIN = "first run", "from the cache"
STAGES = {READ: FIRST, TOKENIZE: FIRST, WRITE: FIRST, OPEN: AGAIN, REPORT: AGAIN, BATCH: AGAIN}
"""Stages that are shown, and the process that they are taken from."""
KINDS = {"private": "private MB", "grown": "of them since the start", "resident": "resident MB, mapped files included"}
BATCH_SIZE = 16
BLOCK = 2_000


def write_reviews(path, rows, imdb):
    """Synthetic reviews as CSV: words of the IMDB reviews by their frequency, and as many as a random review has."""
    import csv

    import numpy as np

    words, counts = [], []
    for file in sorted(imdb.glob("train/*/*.txt")):
        found = list(map(sys.intern, file.read_text(encoding="utf-8").split()))
        words += found
        counts.append(len(found))
    if not words:
        raise SystemExit(f"{imdb}: no train/*/*.txt.")
    pool, generator = np.array(words, dtype=object), np.random.default_rng(1)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for start in range(0, rows, BLOCK):
            ends = np.cumsum(generator.choice(counts, min(BLOCK, rows - start)))
            drawn = pool[generator.integers(len(pool), size=ends[-1])]
            labels = generator.integers(2, size=len(ends))
            for text, label in zip(np.split(drawn, ends[:-1]), labels):
                writer.writerow([" ".join(text), ("neg", "pos")[label]])


def private_memory():
    """Bytes resident that belong to this process alone, not to a file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


class Clock:
    """CPU and wall seconds of stages, and the peak of private memory in each, looked at every 10 ms."""

    def __init__(self):
        self.stages, self.peak = {}, 0
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self):
        while True:
            self.peak = max(self.peak, private_memory())
            time.sleep(0.01)

    def __call__(self, name, work):
        """What `work()` returns."""
        self.peak = private_memory()
        cpu, wall = time.process_time(), time.monotonic()
        result = work()
        taken = {"cpu": time.process_time() - cpu, "wall": time.monotonic() - wall}
        self.stages[name] = {**taken, "memory": max(self.peak, private_memory())}
        return result


def prepare_rows(settings):
    """What `fit` does before its first step; the time in the tokenizer is taken out of the time of `encode`."""
    from tf_finetune import DataConfig, encode, load_splits, load_tokenizer, resolve_model
    from tf_finetune.data import Examples
    from tf_finetune.tokens.encoder import TextEncoder
    from tf_finetune.tokens.lengths import report_lengths
    from tf_finetune.tokens.pipeline import make_dataset
    from tf_finetune.tokens.table import INPUT_NAMES

    tokenizer = load_tokenizer(resolve_model(settings["model"]).tokenizer_folder)
    length = settings["max_length"]

    def batch(table):
        return next(iter(make_dataset(table, dict.fromkeys(INPUT_NAMES), batch_size=BATCH_SIZE)))

    warm = Examples.from_lists(["A film that one remembers."] * BATCH_SIZE, ["yes", "no"] * (BATCH_SIZE // 2))
    with tempfile.TemporaryDirectory() as folder:
        batch(encode(warm, tokenizer, max_length=length, cache_dir=folder))
    plain, spent = TextEncoder.encode, [0.0, 0.0]

    def timed(*arguments):
        cpu, wall = time.process_time(), time.monotonic()
        encoded = plain(*arguments)
        spent[0] += time.process_time() - cpu
        spent[1] += time.monotonic() - wall
        return encoded

    TextEncoder.encode = timed

    def run(request):
        clock, start = Clock(), private_memory()
        config = DataConfig(data=(request["data"],))
        splits = clock(READ, lambda: load_splits(config, seed=0, spool_dir=request["folder"]))

        def tables():
            parts = splits.train, splits.validation
            return [encode(part, tokenizer, max_length=length, cache_dir=request["cache"]) for part in parts]

        table = clock(WRITE, tables)[0]
        if spent[0]:
            both = clock.stages[WRITE]
            clock.stages[TOKENIZE] = {"cpu": spent[0], "wall": spent[1], "memory": both["memory"]}
            both.update(cpu=both["cpu"] - spent[0], wall=both["wall"] - spent[1])
        else:
            clock.stages[OPEN] = clock.stages.pop(WRITE)
        clock(REPORT, lambda: report_lengths(table, batch_size=BATCH_SIZE, batching="bucketed"))
        clock(BATCH, lambda: batch(table))
        tokens = int(table.offsets[-1])
        return {"stages": clock.stages, "start": start, "resident": peak_memory(), "rows": len(table), "tokens": tokens}

    return run


def measure(data, options, folder):
    """What the two processes of one size answer."""
    cache, found = folder / "cache", {}
    for name in (FIRST, AGAIN):
        worker = Worker(__file__, SYSTEM, cores=1, model=options.model, max_length=options.max_length)
        try:
            request = {"data": str(data), "folder": str(folder), "cache": str(cache)}
            found[name] = worker.run(request)["result"]
        finally:
            worker.stop()
    shutil.rmtree(cache)
    return found


def measure_all(sizes, options):
    """Number of rows -> what each of its rounds measured."""
    measured = {rows: [] for rows in sizes}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        for number in range(options.repeats):
            for rows in sizes[:: -1 if number % 2 else 1]:
                if number and rows > QUICK:
                    continue
                data = folder / f"{rows}.csv"
                if not data.exists():
                    say(f"{rows:,} reviews are written")
                    write_reviews(data, rows, options.imdb)
                found = measure(data, options, folder)
                measured[rows].append(found)
                cpu = {stage: found[run]["stages"][stage]["cpu"] for stage, run in STAGES.items()}
                say(f"{rows:,} reviews, CPU s: {', '.join(f'{stage} {value:.3g}' for stage, value in cpu.items())}")
    return measured


def summary(measured):
    """Number of rows -> medians over the rounds: CPU and wall milliseconds a review by stage, and bytes."""
    found = {}
    for rows, rounds in measured.items():
        ms = {
            kind: {
                stage: statistics.median(answers[run]["stages"][stage][kind] for answers in rounds) * 1000 / rows
                for stage, run in STAGES.items()
            }
            for kind in ("cpu", "wall")
        }
        memory = {}
        for run in (FIRST, AGAIN):
            peaks = [max(stage["memory"] for stage in answers[run]["stages"].values()) for answers in rounds]
            kinds = {
                "private": peaks,
                "grown": [peak - answers[run]["start"] for peak, answers in zip(peaks, rounds)],
                "resident": [answers[run]["resident"] for answers in rounds],
            }
            memory[run] = {kind: statistics.median(values) for kind, values in kinds.items()}
        found[rows] = {"rounds": len(rounds), "cpu_ms": ms["cpu"], "wall_ms": ms["wall"], "memory": memory}
    return found


def report(found):
    """Prints the tables."""
    reference = REFERENCE if REFERENCE in found else min(found)
    base = found[reference]["cpu_ms"]
    header = ["CPU ms a review", *(f"{rows:,}" for rows in found)]
    lines = []
    for stage in STAGES:
        values = [row["cpu_ms"][stage] for row in found.values()]
        lines.append([stage, *(f"{value:.3g} ({value / base[stage]:.2f})" for value in values)])
    sums = [sum(row["cpu_ms"].values()) for row in found.values()]
    lines.append(["all", *(f"{value:.3g} ({value / sum(base.values()):.2f})" for value in sums)])
    print_table(f"In brackets: as a multiple of {reference:,} reviews", header, lines)
    lines, sizes = [], list(found)
    for run in (FIRST, AGAIN):
        peaks = {rows: row["memory"][run] for rows, row in found.items()}
        for kind, what in KINDS.items():
            lines.append([f"{run}: {what}", *(f"{peak[kind] / 1e6:.0f}" for peak in peaks.values())])
        slopes = [(peaks[b]["private"] - peaks[a]["private"]) / (b - a) for a, b in zip(sizes, sizes[1:])]
        lines.append([f"{run}: private bytes a further review", "", *(f"{slope:.0f}" for slope in slopes)])
    print_table("Peak memory", ["", *header[1:]], lines)


def plot(found):
    """SVG text: CPU time a review by stage, and peak memory."""
    times = {stage: {rows: row["cpu_ms"][stage] for rows, row in found.items()} for stage in STAGES}
    memory = {
        f"{run}: {what}": {rows: row["memory"][run][kind] / 1e6 for rows, row in found.items()}
        for run, kind, what in (
            (FIRST, "resident", "with mapped files"),
            (FIRST, "private", "private"),
            (AGAIN, "private", "private"),
        )
    }
    panels = {"CPU ms a review": times, "Peak memory, MB": memory}
    return line_chart("Before the first training step: cost of a review", "reviews", panels)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--imdb", type=Path, metavar="FOLDER", required=True)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--quick", action="store_true", help=f"no more than {QUICK:,} reviews")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--model", default="sentence-transformers/all-MiniLM-L6-v2")
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--folder", type=Path, help="for the files; by default the system's temporary folder")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE")
    options = parser.parse_args()
    sizes = sorted({rows for rows in options.rows if not options.quick or rows <= QUICK})
    if not sizes or sizes[0] < 100 or options.repeats < 1:
        parser.error("--rows takes numbers from 100, with --quick one up to 100000; --repeats one from 1")
    measured = measure_all(sizes, options)
    found = summary(measured)
    report(found)
    if options.json:
        options.json.write_text(json.dumps({"summary": found, "measured": measured}, indent=2) + "\n")
    if options.plot:
        options.plot.write_text(plot(found))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    if sys.argv[1:] == [WORKER]:
        serve({SYSTEM: prepare_rows})
    else:
        main()
