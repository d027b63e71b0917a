"""Exit codes, messages and talk, whatever the command."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tf_finetune import errors
from tf_finetune.cli.main import COMMANDS, main
from tf_finetune.cli.session import VERBOSE_VARIABLE

ROOT = Path(__file__).parents[2]


def test_an_error_of_ours_is_one_message_and_exit_1(run, verb) -> None:
    verb("serving.export.export").answer = errors.RunError("no run in x. Give a model folder.")
    assert run("export", "x") == (1, "", "error: no run in x. Give a model folder.\n")


def test_the_exit_code_counts_where_nobody_reads_the_message(run, verb, monkeypatch) -> None:
    verb("serving.export.export").answer = errors.TrainingStopped("go on with: x", exit_code=75)

    def closed(message: str) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("tf_finetune.cli.failure.say", closed)
    assert run("export", "saved_models/x").code == 75


@pytest.mark.parametrize("name", sorted(set(errors.__all__) - {"ConfigError", "TrainingStopped"}))
def test_all_our_errors_exit_1(run, verb, name: str) -> None:
    verb("serving.export.export").answer = getattr(errors, name)("words")
    assert run("export", "x") == (1, "", "error: words\n")


def test_training_stopped_on_purpose_exits_130(run, verb) -> None:
    verb("serving.export.export").answer = errors.TrainingStopped("go on with: x")
    assert run("export", "x") == (130, "", "\ninterrupted: go on with: x\n")


def test_a_wrong_configuration_exits_2(run, verb) -> None:
    verb("serving.export.export").answer = errors.ConfigError("words")
    assert run("export", "x") == (2, "", "error: words\n")


@pytest.mark.parametrize("args", [("--debug", "export", "x"), ("export", "x", "--debug"), ("export", "--debug", "x")])
def test_debug_shows_the_traceback_and_the_message(run, verb, args: tuple[str, ...]) -> None:
    verb("serving.export.export").answer = errors.RunError("words")
    code, out, err = run(*args)
    assert (code, out) == (1, "")
    assert err.startswith("Traceback (most recent call last)")
    assert err.endswith("\nerror: words\n")


def test_an_unexpected_error_is_one_line_that_names_debug(run, verb) -> None:
    verb("serving.export.export").answer = KeyError("\n  first\nsecond")
    assert run("export", "x") == (
        1,
        "",
        "error: KeyError: '\\n  first\\nsecond' (run again with --debug for the traceback)\n",
    )
    verb("serving.export.export").answer = RuntimeError("\n  first\nsecond")
    assert run("export", "x").err == "error: RuntimeError: first (run again with --debug for the traceback)\n"
    verb("serving.export.export").answer = MemoryError()
    assert run("export", "x").err == "error: MemoryError (run again with --debug for the traceback)\n"


def test_an_unexpected_error_with_debug(run, verb) -> None:
    verb("serving.export.export").answer = RuntimeError("first")
    code, _, err = run("export", "x", "--debug")
    assert code == 1
    assert "Traceback" in err
    assert err.endswith("\nerror: RuntimeError: first\n")


def test_an_interrupt_exits_130_and_passes_its_words_on(run, verb) -> None:
    verb("serving.export.export").answer = KeyboardInterrupt("go on with: x")
    assert run("export", "x") == (130, "", "\ninterrupted: go on with: x\n")
    verb("serving.export.export").answer = KeyboardInterrupt()
    assert run("export", "x") == (130, "", "\ninterrupted\n")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("fitt",), "There is no command 'fitt'. Did you mean 'fit'? See: tf-finetune --help"),
        (
            ("qqq",),
            f"There is no command 'qqq'. Commands are {', '.join(COMMANDS)}. See:",
        ),
        (("config", "shwo"), "There is no command 'shwo'. Did you mean 'show'? See: tf-finetune config --help"),
        (("fit", "--epoch", "3"), "No such option"),
        (("fit", "x"), "Got unexpected extra argument"),
        (("export",), "Missing argument 'MODEL_FOLDER'"),
        (("export", "x", "--version", "0"), "Invalid value for '--version'"),
    ],
)
def test_a_wrong_call_exits_2_and_names_the_help(run, args: tuple[str, ...], words: str) -> None:
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert err.startswith("error: " + words)
    assert " See: tf-finetune" in err and err.endswith(" --help\n")
    assert err.count("\n") == 1


def test_an_option_without_its_value_exits_2(run) -> None:
    assert run("fit", "--epochs") == (2, "", "error: Option '--epochs' requires an argument.\n")


def test_all_faults_of_a_call_come_at_once(run, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("fit: {epoch: 3}")
    code, out, err = run(
        "fit", "--config", str(file), "--seed", "x", "--truncate", "middle", "--set", "fit.power=0", "--batch-size", "0"
    )
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "error: 5 faults in the configuration:",
        f"  {file}:1: section `fit` has no key `epoch`. Did you mean fit.epochs?",
        "  --seed: expected a whole number, at least 0, at most 2147483647. Received: 'x'.",
        "  --truncate: expected one of head, tail, head+tail. Received: 'middle'.",
        "  --batch-size: expected a whole number, at least 1. Received: '0'.",
        "  --set fit.power: expected a number, above 0. Received: '0'.",
    ]


@pytest.mark.parametrize("args", [("-v", "export", "x"), ("export", "x", "--verbose"), ("export", "-v", "x")])
def test_verbose_is_known_before_the_work_starts(run, verb, args: tuple[str, ...]) -> None:
    def work(*_, **__):
        seen.append((os.environ[VERBOSE_VARIABLE], logging.getLogger("tf_finetune.model").isEnabledFor(logging.DEBUG)))

    seen: list[tuple[str, bool]] = []
    verb("serving.export.export").answer = work
    run(*args)
    os.environ[VERBOSE_VARIABLE] = "0"
    run("export", "x")
    assert seen == [("1", True), ("0", False)]


def test_the_log_goes_to_stderr_and_stops_with_the_call(run, verb) -> None:
    def work(*_, **__):
        log = logging.getLogger("tf_finetune.data")
        log.debug("detail")
        log.info("reading")
        log.warning("odd row")

    verb("serving.export.export").answer = work
    verb("sharing.card.refresh_card")
    assert run("export", "x").err == "reading\nwarning: odd row\n"
    assert run("export", "x", "-v").err == "detail\nreading\nwarning: odd row\n"
    assert logging.getLogger("tf_finetune").handlers == []
    assert logging.getLogger("tf_finetune").level == logging.NOTSET


def test_version(run) -> None:
    code, out, err = run("--version")
    assert (code, err) == (0, "")
    assert out.startswith("tf-finetune ")


def test_the_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "tf_finetune", "fit", "--epochs", "0"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --epochs: expected a whole number, at least 1. Received: '0'.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="closes a pipe as POSIX shells do")
@pytest.mark.parametrize("size", [10, 100_000])
def test_a_closed_pipe_is_quiet(size: int) -> None:
    code = (
        "import sys, click, tf_finetune.cli.init as init; from tf_finetune.cli.main import main; "
        f"init.commented_config = lambda config: 'x' * {size}; sys.stdin.readline(); sys.exit(main(['init', '-']))"
    )
    command = [sys.executable, "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=ROOT) as process:
        assert process.stdout and process.stdin and process.stderr
        process.stdout.close()
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 141


def test_a_broken_pipe_elsewhere_is_an_error(run, verb) -> None:
    verb("serving.export.export").answer = BrokenPipeError(32, "Broken pipe")
    code, _, err = run("export", "x")
    assert (code, err[:22]) == (1, "error: BrokenPipeError")


def in_latin_1(*args: str, folder: Path) -> bytes:
    code = "import sys; from tf_finetune.cli.main import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *args]
    return subprocess.run(command, stdout=subprocess.PIPE, env=environment, cwd=folder, check=True).stdout


def test_text_that_the_terminal_cannot_show_does_not_fail_the_call(tmp_path: Path) -> None:
    assert in_latin_1("init", "\u65e5.yaml", folder=tmp_path) == b"\\u65e5.yaml\n"


def test_configurations_are_utf_8_whatever_the_terminal(tmp_path: Path) -> None:
    for words in (("init", "-"), ("config", "show")):
        assert "  label_map: 1=\u65e5\n".encode() in in_latin_1(*words, "--label-map", "1=\u65e5", folder=tmp_path)


def test_exit_asked_for_by_the_work_passes_through(verb) -> None:
    verb("serving.export.export").answer = SystemExit(7)
    with pytest.raises(SystemExit, match="7"):
        main(["export", "x"])


def test_a_closed_standard_output_does_not_fail_the_call(run, verb, monkeypatch: pytest.MonkeyPatch) -> None:
    verb("serving.export.export").answer = "m/1"
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["export", "x"]) == 0
