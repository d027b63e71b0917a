"""Stands in for a trial's process: trains nothing, in milliseconds, and leaves the files that a run leaves.

Called as `fake_trainer.py FOLDER`. $FAKE_TRAINER is JSON:

    fails      numbers of the trials that fail, "all" or "odd"
    error      kind and message of their error
    dies       numbers of the trials that are killed by SIGKILL
    seconds    time of an epoch
    kills      a list of {"trial", "epoch", "whom", "signal"}: who gets which signal, once, after which epoch of which
               trial, 0 for before the first one; "parent" is the process that has started this one, for whose end or
               SIGTERM it then waits, "chief" the chief of the search
    holds      a list of {"trial", "epoch"}: where to wait until the file `held` beside the trials' folder is removed

Beside the run, `begun.txt` takes a line for each of the trial's processes: how many epochs it found done.
"""

import csv
import json
import math
import os
import select
import signal
import sys
import zipfile
from pathlib import Path

STOPPED = 75


def value_of(config, epoch):
    """A score that follows from the values: best at a rate of 5e-5, with small batches and more epochs."""
    fit = config["fit"]
    distance = abs(math.log10(fit["learning_rate"] / 5e-5))
    return round(0.9 - 0.2 * distance - 0.001 * fit["batch_size"] + 0.01 * epoch - 0.05 * fit["weight_decay"], 6)


def write_array(archive, name, shape, kind, content):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    head = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    archive.writestr(f"{name}.npy", head + content)


class Parent:
    """The process that has started this one, which holds its standard input open, and may ask it to stop."""

    def __init__(self):
        self.reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.set_wakeup_fd(writer)

    def ends(self, seconds):
        """Whether it is gone, or asks to stop, within so many seconds."""
        return bool(select.select([0, self.reader], [], [], seconds)[0])


def chief():
    """The process of the search's chief: the one with our environment but for its name."""
    port = f"KERASTUNER_ORACLE_PORT={os.environ['KERASTUNER_ORACLE_PORT']}"
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if port in environment and "KERASTUNER_TUNER_ID=chief" in environment:
            return int(path.parent.name)
    raise LookupError("no chief")


def obey(kills, folder, epoch, parent):
    """Sends the signals that are due; True if the trial is to stop."""
    for number, kill in enumerate(kills):
        mark = folder.parent.parent / f"killed-{number}"
        if (kill["trial"], kill["epoch"]) != (int(folder.name), epoch) or mark.exists():
            continue
        mark.touch()
        whom = kill.get("whom", "parent")
        os.kill(chief() if whom == "chief" else os.getppid(), kill.get("signal", signal.SIGKILL))
        if whom == "parent":
            return parent.ends(20)
    return False


def hold(holds, folder, epoch, parent):
    """Waits where it is to; True if the trial is to stop."""
    held = folder.parent.parent / "held"
    if {"trial": int(folder.name), "epoch": epoch} in holds:
        held.touch()
        while held.exists():
            if parent.ends(0.01):
                return True
    return False


def pruned(folder, rows):
    """Whether the search's own rule stops the trial here."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tf_finetune.run import ModelFolder
    from tf_finetune.tuning.assignment import Assignment
    from tf_finetune.tuning.trial_process import StopRule

    trial = ModelFolder(folder)
    return StopRule(trial, Assignment.read(trial))(rows)


def read_history(path):
    lines = path.read_text().splitlines() if path.is_file() else []
    return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(lines)]


def write_history(path, rows):
    with open(path.with_suffix(".new"), "w") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    os.replace(path.with_suffix(".new"), path)


def finish(run):
    (run / "model").mkdir(exist_ok=True)
    (run / "model" / "weights").write_text(run.parent.name)
    with zipfile.ZipFile(run / "validation_logits.npz", "w") as archive:
        write_array(archive, "labels", "(4,)", "<i4", bytes(16))
        write_array(archive, "logits", "(4, 2)", "<f4", bytes(32))
    (run / "complete.json").write_text('{"format": 1}')


def main(folder):
    parent, number = Parent(), int(folder.name)
    run, task = folder / "run", json.loads((folder / "trial.json").read_text())
    orders = json.loads(os.environ.get("FAKE_TRAINER", "{}"))
    run.mkdir(parents=True, exist_ok=True)
    config, history = task["config"], run / "history.csv"
    rows = read_history(history)
    with open(folder / "begun.txt", "a") as file:
        file.write(f"{len(rows)}\n")
    if obey(orders.get("kills", ()), folder, 0, parent):
        return STOPPED
    fails = orders.get("fails", ())
    if number in {"all": [number], "odd": [number | 1]}.get(str(fails), fails):
        kind, message = orders.get("error", ["LossError", "The loss became nan in the first epoch."])
        (folder / "error.json").write_text(json.dumps({"kind": kind, "message": message}))
        return 1
    if number in orders.get("dies", ()):
        os.kill(os.getpid(), signal.SIGKILL)
    last = task["last_epoch"] or config["fit"]["epochs"]
    while len(rows) < last and not (rows and task["prune"] and pruned(folder, rows)):
        if parent.ends(orders.get("seconds", 0.0)):
            return STOPPED
        value = value_of(config, len(rows) + 1)
        rows.append({"epoch": len(rows), "loss": 1.0, "val_accuracy": value, "val_loss": 1 - value})
        write_history(history, rows)
        (run / "checkpoints" / "00000001").mkdir(parents=True, exist_ok=True)
        (run / "checkpoints" / "00000001" / "step").write_text(str(len(rows)))
        if obey(orders.get("kills", ()), folder, len(rows), parent):
            return STOPPED
        if hold(orders.get("holds", ()), folder, len(rows), parent):
            return STOPPED
    finish(run)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
