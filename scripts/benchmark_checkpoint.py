#!/usr/bin/env python3
"""Checkpoints: what one costs, written at once or in the background, and what share of a run they take.

scripts/benchmark_checkpoint.py --sst2 SST2 [--rounds 5] [--epoch-seconds 60] [--folder DIR] [--json FILE]

SST2 is a folder with train.tsv and validation.tsv. Measured are the default model, MiniLM, and one of the size of
DistilBERT with random weights, each fine-tuned with Adam: a checkpoint holds the weights, both moments, and the weights
of the best epoch. It is the one of `fit`, and is written to --folder, which should be on the disk that model folders
are on. A round is, for each model: the parts of a checkpoint; then the same training steps three times, in turns:
without a checkpoint, with one that training waits for, and with one that a thread writes from a copy in host memory
while the steps go on. Then `fit` itself runs by its default --save-every for three epochs of about --epoch-seconds, and
what its checkpoints took is counted; longer runs are computed from that, by the same rule. Shown are CPU seconds, which
other work on the machine moves little, and wall seconds, as median and range.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarking.results import print_table, show, spread
from benchmarking.workers import WORKER, Worker, peak_memory, say, serve

# Model, steps of a round; None is made here
MODELS = {"MiniLM": ("sentence-transformers/all-MiniLM-L6-v2", 40), "DistilBERT": (None, 12)}
BATCH_SIZE = 16
MAX_LENGTH = 128
EPOCHS = 3
PARTS = {
    "read": "read the state",
    "write": "write it",
    "fsync": "fsync",
    "load": "load it again",
    "snapshot": "copy it to host memory",
}
KINDS = ("cpu", "wall")
MODES = ("none", "waiting", "background")
HOURS = 8
LONGER_EPOCHS = (60, 600, 7200)
"""Seconds of an epoch in the runs of `HOURS` that are computed."""


def seconds_since(start=(0.0, 0.0)):
    """CPU seconds of this process and wall seconds, since `start`."""
    return time.process_time() - start[0], time.monotonic() - start[1]


def config_of(settings, **sections):
    """The configuration of both kinds of workers."""
    from tf_finetune import Config, DataConfig, ExportConfig, FitConfig, ModelConfig, RunConfig, TokensConfig

    folder = Path(settings["sst2"])
    return Config(
        data=DataConfig(
            data=(str(folder / "train.tsv"),),
            validation=(str(folder / "validation.tsv"),),
            allow_leaks=True,
            max_train_samples=settings.get("rows"),
        ),
        tokens=TokensConfig(max_length=MAX_LENGTH),
        model=ModelConfig(model=settings["model"] or made_model(Path(settings["folder"]) / "distilbert")),
        fit=FitConfig(batch_size=BATCH_SIZE, epochs=EPOCHS),
        export=ExportConfig(export=False),
        run=RunConfig(**sections),
    )


def made_model(folder):
    """A model of the shape of distilbert-base with random weights, and the tokenizer of MiniLM, which is the same."""
    import shutil

    from tf_finetune import resolve_model
    from tf_finetune.backend import keras, transformers

    if not folder.exists():
        keras.utils.set_random_seed(1)
        model = transformers.TFDistilBertModel(transformers.DistilBertConfig())
        model(model.dummy_inputs)
        model.save_pretrained(str(folder), safe_serialization=True)
        for path in resolve_model(MODELS["MiniLM"][0]).tokenizer_folder.glob("*token*.json"):
            shutil.copy(path, folder)
    return str(folder)


# One checkpoint -------------------------------------------------------------------------------------------------------


class Bench:
    """A model in training, and its checkpoints."""

    def __init__(self, settings):
        from tf_finetune.training.checkpoints.record import Record
        from tf_finetune.training.checkpoints.state import TrainingState
        from tf_finetune.training.checkpoints.store import CheckpointStore
        from tf_finetune.training.inputs import load_inputs
        from tf_finetune.training.prepare import prepare

        config = config_of(settings)
        inputs = load_inputs(config)
        prepared = prepare(config, inputs.splits, inputs.checkpoint)
        self.model, self.steps = prepared.model, settings["steps"]
        self.batches = prepared.training_dataset(config).take(self.steps)
        self.state = TrainingState(self.model, prepared.dropout)
        self.store = CheckpointStore(Path(settings["folder"]) / f"checkpoints-{settings['system']}")
        self.record = Record(step=self.steps, steps_per_epoch=self.steps)
        for _ in range(2):  # traces, and lets memory settle
            self.model.fit(self.batches, verbose=0)
        self.best = tuple(self.model.get_weights())
        self.save(self.state.read())

    def save(self, values):
        """What `fit` does with the values of all variables."""
        from tf_finetune.training.checkpoints.store import Saved

        self.store.save(Saved(self.record, values, self.best))

    def snapshot(self):
        """The values of all variables in memory of their own."""
        return {name: variable.numpy() for name, variable in self.state.variables().items()}

    def load(self):
        """Takes the newest checkpoint over."""
        saved = self.store.load(self.state.variables(), weights=len(self.model.weights))
        self.state.assign(saved.state)

    def parts(self):
        """CPU and wall seconds of each part of a checkpoint."""
        found = {}
        start = seconds_since()
        values = self.state.read()
        found["read"] = seconds_since(start)
        with timed_fsync() as fsync:
            start = seconds_since()
            self.save(values)
            saved = seconds_since(start)
        del values
        found["fsync"] = tuple(fsync)
        found["write"] = tuple(whole - part for whole, part in zip(saved, fsync))
        for name, act in (("load", self.load), ("snapshot", self.snapshot)):
            start = seconds_since()
            act()
            found[name] = seconds_since(start)
        return found

    def train(self, mode):
        """The steps, with a checkpoint after the first quarter or without; what all of it took.

        Counted is what lies between the first and the last callback: `fit` may return later, when its threads end.
        """
        from tf_finetune.backend import keras

        found, thread, start = {"blocked": (0.0, 0.0), "after": 0.0}, None, None

        def begin(logs):
            nonlocal start
            start = seconds_since()

        def save(batch, logs):
            nonlocal thread
            if batch != self.steps // 4 or mode == "none":
                return
            before = seconds_since()
            if mode == "waiting":
                self.save(self.state.read())
            else:
                thread = threading.Thread(target=self.save, args=(self.snapshot(),))
                thread.start()
            found["blocked"] = seconds_since(before)

        def end(logs):
            ended = time.monotonic()
            if thread is not None:
                thread.join()
            found.update(after=time.monotonic() - ended, took=seconds_since(start))

        forget_peak_memory()
        resident = peak_memory()
        callback = keras.callbacks.LambdaCallback(on_train_begin=begin, on_train_batch_end=save, on_train_end=end)
        self.model.fit(self.batches, verbose=0, callbacks=[callback])
        return {**found, "memory": peak_memory() - resident}

    def __call__(self, request):
        modes = MODES[:: -1 if request["round"] % 2 else 1]
        return {"parts": self.parts(), "modes": {mode: self.train(mode) for mode in modes}, **self.sizes()}

    def sizes(self):
        """Parameters, and bytes of a checkpoint."""
        newest = self.store.checkpoints()[-1]
        return {
            "parameters": self.model.count_params(),
            "bytes": sum(path.stat().st_size for path in newest.iterdir()),
        }


@contextlib.contextmanager
def timed_fsync():
    """Gives CPU and wall seconds in fsync, which are counted up while the body runs."""
    total, fsync = [0.0, 0.0], os.fsync

    def timed(descriptor):
        start = seconds_since()
        fsync(descriptor)
        for i, seconds in enumerate(seconds_since(start)):
            total[i] += seconds

    os.fsync = timed
    try:
        yield total
    finally:
        os.fsync = fsync


def forget_peak_memory():
    """Has the kernel count this process' peak memory from now on."""
    Path("/proc/self/clear_refs").write_text("5")


# A whole run ----------------------------------------------------------------------------------------------------------


def whole_run(settings):
    """`fit` by its defaults, and what its checkpoints took."""
    from tf_finetune import fit
    from tf_finetune.training.checkpoints.callback import Checkpointing

    saves, training = [], {}
    save = Checkpointing.save

    def timed(self):
        before, start = self.seconds, seconds_since()
        save(self)
        if self.seconds > before:
            saves.append(seconds_since(start))

    Checkpointing.save = timed
    Checkpointing.on_train_begin = lambda self, logs=None: training.update(start=seconds_since())
    Checkpointing.on_train_end = lambda self, logs=None: training.update(end=seconds_since(training["start"]))

    def run(request):
        config = config_of({**settings, **request}, output=f"{settings['folder']}/run-{settings['system']}")
        fit(config)
        return {"saves": saves, "training": training["end"]}

    return run


def longer_run(cost, epoch):
    """A run of `HOURS` by the rule of ``--save-every auto``, a second at a time.

    Args:
        cost: Seconds of a checkpoint.
        epoch: Seconds of an epoch.

    Returns:
        How many checkpoints are written, their share of the time, and the most seconds between two of them.
    """
    from tf_finetune.config.save_every import parse_save_every

    policy = parse_save_every("auto")
    spent, saves = 0.0, [0]
    for now in range(1, HOURS * 3600 + 1):
        is_due = now - saves[-1] >= policy.seconds or now % epoch == 0
        if is_due and spent + cost <= policy.share * now:
            spent += cost
            saves.append(now)
    longest = max(after - before for before, after in zip(saves, [*saves[1:], HOURS * 3600]))
    return {"checkpoints": len(saves) - 1, "share": spent / (HOURS * 3600), "longest_gap": longest}


# Results --------------------------------------------------------------------------------------------------------------


def summarize(rounds):
    """Medians and ranges of one model."""
    parts = {
        name: {kind: spread([row["parts"][name][i] for row in rounds]) for i, kind in enumerate(KINDS)}
        for name in PARTS
    }
    modes = {}
    for mode in MODES[1:]:
        pairs = [(row["modes"][mode], row["modes"]["none"]) for row in rounds]
        modes[mode] = {"memory_mb": spread([(own["memory"] - none["memory"]) / 1e6 for own, none in pairs])}
        modes[mode]["after"] = spread([own["after"] for own, _ in pairs])
        for i, kind in enumerate(KINDS):
            modes[mode][f"blocked_{kind}"] = spread([own["blocked"][i] for own, _ in pairs])
            modes[mode][f"added_{kind}"] = spread([own["took"][i] - none["took"][i] for own, none in pairs])
    steps = {kind: spread([row["modes"]["none"]["took"][i] for row in rounds]) for i, kind in enumerate(KINDS)}
    return {
        "parameters": rounds[0]["parameters"],
        "checkpoint_mb": round(rounds[0]["bytes"] / 1e6),
        "parts": parts,
        "steps": steps,
        "modes": modes,
    }


def summarize_run(found, waiting):
    """Share of the checkpoints in a run, and in longer ones with checkpoints as in the rounds (`waiting`)."""
    saves, training = found["saves"], found["training"]
    result = {"training": dict(zip(KINDS, training)), "checkpoints": len(saves), "longer": {}}
    for i, kind in enumerate(KINDS):
        taken = [save[i] for save in saves]
        result[kind] = {"each": spread(taken) if taken else None, "share": sum(taken) / training[i]}
        cost = waiting[f"blocked_{kind}"]["median"]
        result["longer"][kind] = {str(epoch): longer_run(cost, epoch) for epoch in LONGER_EPOCHS}
    return result


def print_checkpoints(results, rounds):
    """Parts of a checkpoint, and both ways of writing one."""
    titles = [f"{name}, {one['checkpoint_mb']} MB: {kind}" for name, one in results.items() for kind in ("CPU s", "s")]
    rows = [
        [words, *(show(one["parts"][name][kind], 3) for one in results.values() for kind in KINDS)]
        for name, words in PARTS.items()
    ]
    print_table(f"One checkpoint, {rounds} rounds", ["", *titles], rows)
    header = [
        "",
        "blocks, CPU s",
        "blocks, s",
        "adds in all, CPU s",
        "in all, s",
        "adds, MB",
        "goes on after the steps, s",
    ]
    keys = ("blocked_cpu", "blocked_wall", "added_cpu", "added_wall")
    rows = [
        [
            f"{name}, {mode}",
            *(show(values[key]) for key in keys),
            show(values["memory_mb"], 0),
            show(values["after"]),
        ]
        for name, one in results.items()
        for mode, values in one["modes"].items()
    ]
    print_table("Training that waits, and a thread that writes in the background", header, rows)
    for name, one in results.items():
        steps = MODELS[name][1]
        print(
            f"\n{name}: the {steps} steps alone take {show(one['steps']['cpu'])} CPU s, {show(one['steps']['wall'])} s"
        )


def print_runs(results):
    """The real runs, and the longer ones."""
    rows = [
        [
            name,
            f"{one['training']['wall']:.0f}",
            one["checkpoints"],
            *(show(one[kind]["each"]) if one[kind]["each"] else "-" for kind in KINDS),
            *(f"{100 * one[kind]['share']:.2f} %" for kind in KINDS),
        ]
        for name, one in results.items()
    ]
    header = ["", "training, s", "checkpoints", "each, CPU s", "each, s", "share of CPU time", "share of time"]
    print_table(f"`fit` by its defaults, {EPOCHS} epochs", header, rows)
    rows = [
        [f"{name}, epochs of {int(epoch) // 60} min", *(words(one["longer"][kind][epoch]) for kind in KINDS)]
        for name, one in results.items()
        for epoch in map(str, LONGER_EPOCHS)
    ]
    header = ["", "if a checkpoint takes its CPU seconds", "if it takes its wall seconds"]
    print_table(f"{HOURS} hours by the same rule, computed", header, rows)


def words(run):
    """A longer run in words."""
    share, gap = f"{100 * run['share']:.2f} %", f"at most {run['longest_gap']} s apart"
    return f"{run['checkpoints']} checkpoints, {share} of the time, {gap}"


def measure(options, folder):
    """Answers of all rounds, and of one run of each model."""
    shared = {"sst2": str(options.sst2.resolve()), "folder": folder, "cores": options.cores}
    workers = {}
    try:
        for name, (model, steps) in MODELS.items():
            say(f"{name} starts")
            workers[name] = Worker(__file__, name, model=model, steps=steps, **shared)
        rounds = {name: [] for name in workers}
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}")
            for name in list(workers)[:: -1 if number % 2 else 1]:
                rounds[name].append(workers[name].run({"round": number})["result"])
    finally:
        for worker in workers.values():
            worker.stop()
    results = {name: summarize(answers) for name, answers in rounds.items()}
    for name, (model, steps) in MODELS.items():
        rows = int(options.epoch_seconds * steps / results[name]["steps"]["wall"]["median"]) * BATCH_SIZE
        say(f"{name}: {EPOCHS} epochs of {rows} rows")
        worker = Worker(__file__, f"{name}, whole run", model=model, **shared)
        try:
            results[name]["run"] = summarize_run(
                worker.run({"rows": rows})["result"], results[name]["modes"]["waiting"]
            )
        finally:
            worker.stop()
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sst2", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epoch-seconds", type=float, default=60.0)
    parser.add_argument("--cores", type=int, default=1, help="cores that training and checkpoints share")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="where checkpoints are written; default: a temporary one"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        results = measure(options, folder)
    print_checkpoints(results, options.rounds)
    print_runs({name: one["run"] for name, one in results.items()})
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] == [WORKER]:
        serve({**dict.fromkeys(MODELS, Bench), **{f"{name}, whole run": whole_run for name in MODELS}})
    else:
        main()
