"""Texts in two splits stop `fit`; what else the cheap audit finds is said, and training goes on."""

import logging

import pytest

from tests.conftest import tiny_rows, write_csv
from tf_finetune.config import DataConfig
from tf_finetune.data import load_splits
from tf_finetune.errors import ConfigError, DataError
from tf_finetune.training.soundness import check_soundness, log_findings


@pytest.fixture
def leaking(tmp_path):
    """Data options with four test rows that are training rows, and one that is a validation row."""
    rows = [(f"text number {i} of the data .", "positive" if i % 2 else "negative") for i in range(60)]
    train = write_csv(tmp_path / "train.csv", rows[:40])
    validation = write_csv(tmp_path / "validation.csv", rows[40:50])
    test = write_csv(tmp_path / "test.csv", [*rows[3:7], *rows[45:46], *rows[50:]])
    paths = {"data": (str(train),), "validation": (str(validation),), "test": (str(test),)}
    return lambda **options: DataConfig(**paths, **options)


def test_texts_in_two_splits_are_refused_with_their_rows(leaking, tmp_path):
    config = leaking()
    with pytest.raises(DataError) as caught:
        check_soundness(load_splits(config, seed=1), config)
    first, *rows, second, row, advice = str(caught.value).split("\n")
    assert first.startswith("Texts that are also in the training data: 4 of 15 test rows (27%).")
    test, train = tmp_path / "test.csv", tmp_path / "train.csv"
    assert rows == [*(f"  {test}:{i} = {train}:{i + 3}" for i in (2, 3, 4)), "  and 1 more"]
    assert second.startswith("Texts that are also in the validation data: 1 of 15 test rows (6.7%).")
    assert row == f"  {test}:6 = {tmp_path / 'validation.csv'}:7"
    assert "--write-clean" in advice and "--allow-leaks" in advice


def test_leaks_that_are_allowed_are_warned_of(leaking, caplog):
    config = leaking(allow_leaks=True)
    findings = check_soundness(load_splits(config, seed=1), config)
    with caplog.at_level(logging.INFO, logger="tf_finetune"):
        log_findings(findings)
    leaks = [record for record in caplog.records if "Texts that are also in" in record.message]
    assert [record.levelname for record in leaks] == ["WARNING", "WARNING"]


def test_what_else_is_found_does_not_stop_a_run(tmp_path, caplog):
    doubled = [*tiny_rows(40), ("this meal was <br /> good .", "negative"), ("this meal was <br /> good .", "positive")]
    config = DataConfig(data=(str(write_csv(tmp_path / "a.csv", doubled)),))
    with caplog.at_level(logging.INFO, logger="tf_finetune"):
        log_findings(check_soundness(load_splits(config, seed=1), config))
    warnings = " ".join(record.message for record in caplog.records if record.levelno == logging.WARNING)
    assert "The same text under more than one label: 1 text in 2 rows." in warnings
    assert "The same text as an earlier row" in warnings


def test_sound_data_is_not_spoken_of(leaking, tmp_path):
    rows = [(f"text number {i} of the data .", "positive" if i % 2 else "negative") for i in range(60)]
    config = DataConfig(data=(str(write_csv(tmp_path / "sound.csv", rows)),))
    assert check_soundness(load_splits(config, seed=1), config) == ()


def test_leaks_cannot_be_allowed_where_there_can_be_none(tmp_path):
    config = DataConfig(data=(str(write_csv(tmp_path / "a.csv", tiny_rows())),), allow_leaks=True)
    with pytest.raises(ConfigError, match="without effect: --allow-leaks, because there is neither validation nor"):
        load_splits(config, seed=1)


def test_a_run_refuses_them_before_anything_is_written(leaking, tiny_checkpoint, tmp_path):
    from tf_finetune.config import Config, ModelConfig, RunConfig, TokensConfig
    from tf_finetune.training.fit import fit

    output = tmp_path / "run"
    config = Config(
        data=leaking(),
        tokens=TokensConfig(max_length=16),
        model=ModelConfig(model=str(tiny_checkpoint)),
        run=RunConfig(output=str(output)),
    )
    with pytest.raises(DataError, match="--allow-leaks trains with them all the same"):
        fit(config)
    assert not output.exists()
