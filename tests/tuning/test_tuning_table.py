from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from tests.tuning.invented import HOSTILE, invented_search
from tf_finetune.errors import ConfigError
from tf_finetune.tuning.objective import best_trial, direction, is_better
from tf_finetune.tuning.report.table import trials_csv
from tf_finetune.tuning.trial import Trial


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_row_for_each_trial_with_all_digits():
    trials = invented_search()
    text = trials_csv(trials[::-1], "val_accuracy")
    rows = read(text)
    start = "trial,status,score,best_epoch,epochs,seconds,pruned,parent,reason,worker,fit.learning_rate,fit.batch_size,"
    assert text.startswith(start)
    assert [one["trial"] for one in rows] == [trial.id for trial in trials]
    for one, trial in zip(rows, trials, strict=True):
        assert float(one["fit.learning_rate"]) == trial.values["fit.learning_rate"]
        assert one["score"] == ("" if trial.score is None else repr(trial.score))
        assert one["pruned"] == str(trial.pruned).lower()
        assert one["model.freeze"] == (trial.values["model.freeze"] or "")
    assert rows[0]["seconds"] == "61.5"
    assert (rows[0]["best_epoch"], rows[5]["best_epoch"]) == ("2", "")


def test_the_file_is_utf8_whatever_a_reason_holds():
    rows = read(trials_csv(invented_search(), "val_accuracy").encode().decode())
    shown = HOSTILE.replace("\x1b", "\\x1b").replace("\ud800", "\\ud800")
    assert rows[5]["reason"] == f"Out of memory. {shown}"


@pytest.mark.parametrize("reason", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)"])
def test_a_reason_is_no_formula_but_negative_numbers_stay_numbers(reason):
    values = {"fit.power": -1.5, "model.model": "-tiny"}
    trial = Trial("0000", values, "failed", reason=reason)
    row = read(trials_csv([trial, replace(trial, id="0001", status="completed", score=-0.25)], "val_loss"))[1]
    assert row["reason"] == f"'{reason}"
    assert (row["score"], row["fit.power"], row["model.model"]) == ("-0.25", "-1.5", "-tiny")


def test_a_line_break_stays_in_its_cell():
    row = read(trials_csv([Trial("0000", {}, "failed", reason='one,\n"two"')], "val_loss"))[0]
    assert row["reason"] == 'one,\n"two"'


def test_the_best_is_the_greatest_accuracy_and_the_smallest_loss():
    assert [direction(name) for name in ("val_accuracy", "val_macro_f1", "val_loss")] == ["max", "max", "min"]
    assert is_better("val_accuracy", 0.9, 0.8) and is_better("val_loss", 0.8, 0.9)
    assert not is_better("val_accuracy", 0.9, 0.9) and not is_better("val_loss", 0.9, 0.9)
    trials = [Trial(f"{i:04}", {}, "completed", score) for i, score in enumerate((0.5, 0.9, 0.1, 0.9, 0.1))]
    trials.append(Trial("0005", {}, "failed", 2.0))
    trials.append(Trial("0006", {}, "completed", float("nan")))
    assert best_trial(trials[::-1], "val_accuracy").id == "0001"
    assert best_trial(trials[::-1], "val_loss").id == "0002"
    assert best_trial(trials[5:], "val_loss") is None


@pytest.mark.parametrize("refuse", [direction, lambda name: best_trial([], name), lambda name: trials_csv([], name)])
def test_an_unknown_objective_is_refused(refuse):
    with pytest.raises(ConfigError, match="expected one of val_accuracy, val_macro_f1, val_loss. Received: 'accuracy'"):
        refuse("accuracy")
