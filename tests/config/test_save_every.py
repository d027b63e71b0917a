"""When checkpoints are due, as typed; and options of going on that have no effect or contradict each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tf_finetune.cli.main import main
from tf_finetune.config import Config, RunConfig, resolve_config, write_config
from tf_finetune.config.save_every import SavePolicy, parse_save_every
from tf_finetune.errors import ConfigError

EXPECTED = "expected auto, or for example 10m, 90s, 2h, 500steps, epoch or 10m,epoch."


@pytest.mark.parametrize(
    ("value", "policy"),
    [
        ("auto", SavePolicy(seconds=600.0, epochs=True, share=0.01)),
        ("90s", SavePolicy(seconds=90.0)),
        ("10m", SavePolicy(seconds=600.0)),
        ("2h", SavePolicy(seconds=7200.0)),
        ("1step", SavePolicy(steps=1)),
        ("500steps", SavePolicy(steps=500)),
        ("epoch", SavePolicy(epochs=True)),
        ("10m,epoch", SavePolicy(seconds=600.0, epochs=True)),
        ("epoch, 7steps ,1h", SavePolicy(seconds=3600.0, steps=7, epochs=True)),
        ("999999999h", SavePolicy(seconds=999_999_999 * 3600.0)),
    ],
)
def test_every_form_is_read(value: str, policy: SavePolicy) -> None:
    found = parse_save_every(value)
    assert found == policy
    assert [type(item) for item in vars(found).values()] == [type(item) for item in vars(policy).values()]
    assert RunConfig(save_every=value).save_every == value


@pytest.mark.parametrize("value", ["auto", "10m"])
def test_only_the_default_has_a_share(value: str) -> None:
    assert (parse_save_every(value).share is None) == (value != RunConfig().save_every)


@pytest.mark.parametrize(
    ("value", "part"),
    [(value, value) for value in ("10", "0s", "00m", "010m", "-5m", "1.5h", "1e3s", "10 m", "10M", "10min", "5d")]
    + [
        (value, value)
        for value in ("steps", "epochs", "2epoch", "Auto", "never", "٣s", "1000000000s", "9" * 5000 + "s")
    ]
    + [("auto,10m", "auto"), ("10m,auto", "auto"), ("10m,", ""), (",epoch", ""), ("10m;epoch", "10m;epoch")],
)
def test_other_forms_are_refused_with_the_part_that_was_not_read(value: str, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_save_every(value)
    assert str(caught.value) == f"--save-every {value:.80}: {EXPECTED} Received: {part[:80]!r}."


@pytest.mark.parametrize(
    ("value", "name"), [("10m,90s", "seconds"), ("5steps,1step", "steps"), ("epoch,10m,epoch", "epochs")]
)
def test_a_unit_is_not_given_twice(value: str, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_save_every(value)
    assert str(caught.value) == f"--save-every {value}: {name} are given twice."


def test_a_wrong_value_is_one_of_the_faults_of_a_call() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_config(flags={"save_every": "10", "epochs": "0", "force": True})
    assert str(caught.value).splitlines() == [
        "3 faults in the configuration:",
        "  --epochs: expected a whole number, at least 1. Received: '0'.",
        f"  --save-every 10: {EXPECTED} Received: '10'.",
        "  --force has no effect without --resume. To replace a run, give --overwrite.",
    ]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"force": True}, "--force has no effect without --resume. To replace a run, give --overwrite."),
        (
            {"resume": "auto", "overwrite": True},
            "--resume auto goes on with a run, --overwrite replaces it: give one of the two.",
        ),
        (
            {"resume": "saved_models/x", "overwrite": True, "force": True},
            "--resume saved_models/x goes on with a run, --overwrite replaces it: give one of the two.",
        ),
    ],
)
def test_contradictions_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(run=RunConfig(**settings))  # type: ignore[arg-type]
    assert str(caught.value) == words


@pytest.mark.parametrize("hours", [0.0, -1.0, float("nan"), float("inf"), "1h"])
def test_a_time_limit_is_a_number_of_hours(hours: object) -> None:
    with pytest.raises(ConfigError, match="max_hours: expected a number, above 0, or null"):
        RunConfig(max_hours=hours)  # type: ignore[arg-type]


def show(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """What ``tf-finetune config show`` ends with and says, with the options of `fit`."""
    code = main(["config", "show", *args])
    return (code, *capsys.readouterr())


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A model folder with nothing but the configuration of its run, which trains 9 epochs."""
    folder = tmp_path / "my model"
    (folder / "run").mkdir(parents=True)
    config = resolve_config(flags={"epochs": 9, "output": "where it was begun", "save_every": "7steps"})
    (folder / "run" / "config.yaml").write_text(write_config(config), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("flags", "names"),
    [(("--config", "a.yaml"), "--config"), (("--output", "x"), "--output")]
    + [(("--output", "x", "--config", "a.yaml"), "--config and --output")],
)
def test_a_resumed_folder_leaves_no_place_for_another_one(
    capsys: pytest.CaptureFixture[str], run_folder: Path, flags: tuple[str, ...], names: str
) -> None:
    assert show(capsys, "--resume", str(run_folder), *flags) == (
        2,
        "",
        f"error: --resume {run_folder} takes the configuration and the folder of the run: leave out {names}, or give "
        "--resume auto with all options of the run.\n",
    )


def test_a_resumed_folder_gives_the_configuration_which_flags_change(
    capsys: pytest.CaptureFixture[str], run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = show(capsys, "--resume", str(run_folder), "--batch-size", "3", "--save-every", "epoch")
    assert (code, err) == (0, "")
    flags = {"epochs": 9, "output": "where it was begun", "batch_size": 3, "save_every": "epoch"}
    assert out == write_config(resolve_config(flags={**flags, "resume": str(run_folder)}))
    monkeypatch.setenv("HOME", str(run_folder.parent))
    assert "  epochs: 9\n" in show(capsys, "--resume", "~/my model")[1]


def test_resume_auto_takes_a_file_and_an_output(capsys: pytest.CaptureFixture[str], run_folder: Path) -> None:
    file = run_folder / "run" / "config.yaml"
    code, out, err = show(capsys, "--resume", "auto", "--config", str(file), "--output", "x")
    assert (code, err) == (0, "")
    assert out == write_config(resolve_config(file=file, flags={"output": "x", "resume": "auto"}))


def test_a_folder_without_a_run_gives_no_configuration(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = show(capsys, "--resume", str(tmp_path / "none"))
    assert (code, err) == (0, "")  # `fit` says what the folder lacks
    assert out == write_config(resolve_config(flags={"resume": str(tmp_path / "none")}))


def test_a_resumed_folder_may_be_assigned(capsys: pytest.CaptureFixture[str], run_folder: Path) -> None:
    assert show(capsys, "--set", f"run.resume={run_folder}") == show(capsys, "--resume", str(run_folder))
