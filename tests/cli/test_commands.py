"""What each command passes to its function, prints and refuses."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tf_finetune.cli.fit import format_seconds
from tf_finetune.config import Config, commented_config, resolve_config, write_config
from tf_finetune.config.catalog import OPTIONS
from tf_finetune.config.option import options_of
from tf_finetune.tuning.settings import TuneConfig

ROOT = Path(__file__).parents[2]


@pytest.fixture
def table(verb) -> None:
    verb("evaluation.table.format_scores").answer = lambda scores, title="": f"<{title}{scores.name}>"


def scores(name: str) -> SimpleNamespace:
    return SimpleNamespace(name=name, to_dict=lambda: {"accuracy": 0.5, "classes": {"gut 日": 1}})


def result(**values) -> SimpleNamespace:
    folder = SimpleNamespace(path=Path("saved_models/x"))
    defaults = {
        "run": folder,
        "scores": scores("v"),
        "test_scores": None,
        "export": None,
        "seconds": 61.4,
        "best_epoch": 2,
    }
    return SimpleNamespace(**{**defaults, **values})


def test_fit_passes_the_configuration_and_prints_the_scores(run, verb, table) -> None:
    fit = verb("training.fit.fit")
    fit.answer = result()
    code, out, err = run(
        "fit", "--data", "a.csv", "--data", "b.csv", "--epochs", "9", "--no-export", "--set", "fit.seed=7"
    )
    assert (code, err) == (0, "Done in 1 min 01 s; the weights kept are those of epoch 2.\n")
    assert out == "<Validationv>\n\nmodel   saved_models/x\n"
    flags = {"data": ["a.csv", "b.csv"], "epochs": 9, "export": False, "seed": 7}
    assert fit.calls == [((resolve_config(flags=flags),), {"progress": sys.stderr})]


def test_fit_prints_test_scores_and_the_export(run, verb, table) -> None:
    verb("training.fit.fit").answer = result(test_scores=scores("t"), export=Path("saved_models/x/1"))
    assert run("fit").out == "<Validationv>\n\n<Testt>\n\nmodel   saved_models/x\nexport  saved_models/x/1\n"


def test_fit_without_options_is_the_default_configuration(run, verb, table) -> None:
    fit = verb("training.fit.fit")
    fit.answer = result()
    run("fit")
    assert [config for (config,), _ in fit.calls] == [Config()]


def test_dry_run_plans_and_does_not_train(run, verb) -> None:
    fit, plan = verb("training.fit.fit"), verb("training.plan.plan")
    plan.answer = SimpleNamespace(lines=lambda: ["rows 9", "steps 3"])
    assert run("fit", "--dry-run", "--epochs", "9") == (0, "rows 9\nsteps 3\n", "")
    assert plan.calls == [((resolve_config(flags={"epochs": 9}),), {})]
    assert fit.calls == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.6, "1 min 00 s"), (187, "3 min 07 s"), (3599.7, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_durations(seconds: float, words: str) -> None:
    assert format_seconds(seconds) == words


def other_value(option) -> str:
    """A valid value that is not the default, as typed."""
    if option.choices:
        return next(choice for choice in option.choices if choice != option.default)
    special = {
        "encoding": "latin-1",
        "end_learning_rate": "1e-6",
        "data_dir": "d",
        "token_budget": "300",
        "devices": "cpu",
        "save_every": "7steps",
        "resume": "auto",
        "threshold_for": "recall=0.9",
    }
    by_kind = {int: "7", float: "0.25", str: "words", tuple: "words.csv"}
    return special.get(option.key) or by_kind[option.kind]


NEEDED = {
    "patience": {"epochs": "9"},
    "data_dir": {"data": "tfds:x"},
    "force": {"resume": "auto"},
    "threshold_for": {"calibrate": True},
}
"""Option to what it does not go without."""


def words_of(needed: dict) -> list[str]:
    return [word for key, value in needed.items() for word in [OPTIONS[key].flag, *([] if value is True else [value])]]


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.flag)
def test_every_flag_reaches_its_field_and_no_other(run, option) -> None:
    needed = NEEDED.get(option.key, {})
    extra = words_of(needed)
    if option.kind is bool:
        value: object = option.default is not True
        flag = [option.flag if value else f"--no-{option.flag[2:]}"]
    else:
        value = other_value(option)
        flag = [option.flag, str(value)]
    code, out, err = run("config", "show", *flag, *extra)
    assert (code, err) == (0, "")
    expected = resolve_config(flags={option.key: value, **needed})
    assert expected != resolve_config(flags=needed)
    assert out == write_config(expected)


@pytest.mark.parametrize("option", [option for option in OPTIONS.values() if option.kind is bool], ids=lambda o: o.flag)
def test_a_flag_overrides_the_file_in_both_directions(run, tmp_path: Path, option) -> None:
    file = tmp_path / "run.yaml"
    extra = words_of(NEEDED.get(option.key, {}))
    show = ["config", "show", "--config", str(file), *extra]
    for in_file, flag in ((True, f"--no-{option.flag[2:]}"), (False, option.flag)):
        file.write_text(f"{option.section}: {{{option.key}: {str(in_file).lower()}}}")
        assert f"  {option.key}: {str(in_file).lower()}\n" in run(*show).out
        assert f"  {option.key}: {str(not in_file).lower()}\n" in run(*show, flag).out


def test_config_show_prints_a_valid_config(run, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(run("config", "show", "--epochs", "9").out)
    assert run("config", "show", "--config", str(file)).out == file.read_text()


def test_init_writes_the_starter_file(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("init") == (0, "tf_finetune.yaml\n", "Use it with: tf-finetune fit --config tf_finetune.yaml\n")
    assert Path("tf_finetune.yaml").read_text(encoding="utf-8") == commented_config()


def test_init_keeps_an_existing_file_unless_told(run, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("mine")
    assert run("init", str(path)) == (
        2,
        "",
        f"error: {path} exists already. Give another PATH, or --overwrite to replace it.\n",
    )
    assert path.read_text() == "mine"
    assert run("init", str(path), "--overwrite", "--epochs", "9").code == 0
    assert path.read_text(encoding="utf-8") == commented_config(resolve_config(flags={"epochs": 9}))


def test_init_writes_to_stdout(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("init", "-") == (0, commented_config(), "")
    code, out, err = run("init", "-", "--overwrite")
    assert (code, out) == (2, "")
    assert err.startswith("error: --overwrite: no effect with PATH -")
    assert list(tmp_path.iterdir()) == []


def test_init_refuses_wrong_values_and_folders(run, tmp_path: Path) -> None:
    assert run("init", str(tmp_path / "a.yaml"), "--epochs", "0").code == 2
    assert list(tmp_path.iterdir()) == []
    missing = tmp_path / "no" / "a.yaml"
    assert run("init", str(missing)).err == f"error: {missing} cannot be written: No such file or directory.\n"


def test_evaluate_passes_what_was_given_only(run, verb, table) -> None:
    evaluate = verb("evaluation.evaluate.evaluate")
    evaluate.answer = scores("s")
    assert run("evaluate", "m", "--data", "a.csv") == (0, "<s>\n", "")
    words = "--data b.csv --data c.csv --text-column t --label-column l --pair-column p --label-map 1=a --split dev"
    more = "--encoding latin-1 --tsv-quoting csv --on-bad-row skip --batch-size 8"
    assert run("evaluate", "m", *words.split(), *more.split()).code == 0
    run("evaluate", "m", "--data", "tfds:x", "--data-dir", "d")
    assert evaluate.calls == [
        (("m", ("a.csv",)), {}),
        (
            ("m", ("b.csv", "c.csv")),
            {
                "text_column": "t",
                "label_column": "l",
                "pair_column": "p",
                "label_map": "1=a",
                "split": "dev",
                "encoding": "latin-1",
                "tsv_quoting": "csv",
                "on_bad_row": "skip",
                "batch_size": 8,
            },
        ),
        (("m", ("tfds:x",)), {"data_dir": "d"}),
    ]


def test_evaluate_prints_json(run, verb, table) -> None:
    verb("evaluation.evaluate.evaluate").answer = scores("s")
    code, out, err = run("evaluate", "m", "--data", "a.csv", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"accuracy": 0.5, "classes": {"gut 日": 1}}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "--data: expected labelled texts to score. Received: nothing."),
        (("--data", ""), "--data: expected text or a list of texts, none of them empty."),
        (("--data", "a", "--on-bad-row", "x"), "--on-bad-row: expected one of error, skip. Received: 'x'."),
        (("--data", "a", "--encoding", "x"), "--encoding x: Python has no such text encoding."),
        (("--data", "a", "--data-dir", "x"), "--data-dir x has no effect without data of the form tfds:NAME."),
        (("--data", "a", "--batch-size", "0"), "Invalid value for '--batch-size'"),
        (("--data", "a", "--epochs", "3"), "No such option"),
    ],
)
def test_evaluate_refuses(run, verb, table, args: tuple[str, ...], words: str) -> None:
    evaluate = verb("evaluation.evaluate.evaluate")
    code, out, err = run("evaluate", "m", *args)
    assert (code, out, evaluate.calls) == (2, "", [])
    assert err.startswith("error: " + words)


def test_predict_writes_a_file(run, verb) -> None:
    predict = verb("evaluation.predict.predict")
    predict.answer = SimpleNamespace(rows=9, output="out.csv", empty=0, renamed={})
    assert run("predict", "m", "--data", "a.csv", "--output", "out.csv") == (0, "out.csv\n", "9 rows predicted.\n")
    words = "--data a --data b --output o.csv --overwrite --text-column t --pair-column p --encoding latin-1"
    run("predict", "m", *words.split(), "--tsv-quoting", "csv", "--batch-size", "8")
    assert predict.calls == [
        (("m", ("a.csv",), "out.csv"), {"overwrite": False}),
        (
            ("m", ("a", "b"), "o.csv"),
            {
                "overwrite": True,
                "text_column": "t",
                "pair_column": "p",
                "encoding": "latin-1",
                "tsv_quoting": "csv",
                "batch_size": 8,
            },
        ),
    ]


def test_predict_tells_of_empty_rows_and_renamed_columns(run, verb) -> None:
    predict = verb("evaluation.predict.predict")
    predict.answer = SimpleNamespace(rows=9, output="out.csv", empty=2, renamed={"label": "input_label"})
    assert run("predict", "m", "--data", "a.csv", "--output", "out.csv").err.splitlines() == [
        "9 rows predicted.",
        "warning: 2 of them had an empty text.",
        "The input column 'label' is now 'input_label'.",
    ]


def test_predict_answers_lines(run, verb, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(folder, lines, write, **options) -> int:
        seen.append((folder, options, lines.encoding, lines.errors))
        for line in lines:
            write(json.dumps(line.strip(), ensure_ascii=False) + "\n")
        return 2

    seen: list[tuple] = []
    verb("evaluation.predict.predict_lines").answer = answer
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("schön\n日\n".encode()), encoding="ascii"))
    assert run("predict", "m", "--data", "-") == (0, '"schön"\n"日"\n', "")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("schön\n".encode("latin-1"))))
    assert run("predict", "m", "--data", "-", "--encoding", "latin-1", "--batch-size", "4").out == '"schön"\n'
    assert seen == [("m", {}, "utf-8", "strict"), ("m", {"batch_size": 4}, "latin-1", "strict")]


def test_predict_without_standard_input(run, verb, monkeypatch: pytest.MonkeyPatch) -> None:
    verb("evaluation.predict.predict_lines")
    monkeypatch.setattr(sys, "stdin", None)
    assert run("predict", "m", "--data", "-") == (
        1,
        "",
        "error: Standard input: expected lines of text. Received: nothing, it is closed.\n",
    )


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("", "--data: expected files, or - for standard input. Received: nothing."),
        ("--data a.csv", "--output: expected a file for the predictions"),
        ("--data - --output o.csv", "--output: no effect with --data -"),
        (
            "--data - --overwrite --text-column t --tsv-quoting csv",
            "--overwrite, --text-column, --tsv-quoting: no effect",
        ),
        ("--data - --data a.csv --output o.csv", "--data: standard input (-) cannot be read together with files."),
        ("--data a.csv --output o.csv --encoding x", "--encoding x: Python has no such text encoding."),
    ],
)
def test_predict_refuses(run, verb, args: str, words: str) -> None:
    verbs = verb("evaluation.predict.predict"), verb("evaluation.predict.predict_lines")
    code, out, err = run("predict", "m", *args.split())
    assert (code, out, verbs[0].calls, verbs[1].calls) == (2, "", [], [])
    assert err.startswith("error: " + words)


def test_export_prints_the_folder(run, verb) -> None:
    export, card = verb("serving.export.export"), verb("sharing.card.refresh_card")
    export.answer = Path("saved_models/x/3")
    assert run("export", "saved_models/x") == (0, "saved_models/x/3\n", "")
    assert card.calls == [(("saved_models/x",), {})]
    words = ["--version", "7", "--signatures", "text, token_ids", "--max-length", "64", "--keep-texts", "0"]
    words += ["--encoder", "model"]
    run("export", "saved_models/x", *words)
    assert export.calls == [
        (("saved_models/x",), {"version": None, "signatures": None, "max_length": None, "encoder": "auto"}),
        (
            ("saved_models/x",),
            {
                "version": 7,
                "signatures": ["text", "token_ids"],
                "max_length": 64,
                "keep_texts": 0,
                "encoder": "model",
            },
        ),
    ]


def test_the_option_table_has_a_row_for_each_option() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "option_table"], capture_output=True, text=True, check=True
    )
    rows = [line for line in done.stdout.splitlines() if line.startswith("| `--")]
    options = [*OPTIONS.values(), *options_of(TuneConfig).values()]
    assert [row.split("`")[1] for row in rows] == [option.flag for option in options]
    assert {row.replace("\\|", "").count("|") for row in rows} == {5}
    assert "| `--export`, `--no-export` | `true` |  | Write a SavedModel when training is complete. |" in rows
    assert "| `--learning-rate` | `5e-05` | above 0 | Learning rate after warm-up. |" in rows
