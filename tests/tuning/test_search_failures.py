"""Trials that fail: what is a mistake ends the search, all else is the trial's own misfortune."""

import pytest

from tests.tuning.search_process import begun, folder_of, search, trials_of
from tf_finetune.errors import TuningError
from tf_finetune.tuning.trial import COMPLETED, FAILED, RUNNING


@pytest.mark.parametrize("kind", ["DataError", "ConfigError", "ModelError", "TokenizerError", "RunError"])
def test_a_mistake_ends_the_search_at_once(make_config, kind):
    config = make_config()
    with pytest.raises(TuningError, match="Trial 0000 cannot be trained, nor could any other: Row 7 is wrong"):
        search(config, orders={"fails": "all", "error": [kind, "Row 7 is wrong."]}, max_trials=5)
    assert [trial.status for trial in trials_of(config)] == [RUNNING]
    search(config, max_trials=2)  # mended
    assert [trial.status for trial in trials_of(config)] == [COMPLETED] * 2


def test_what_other_values_may_mend_fails_the_trial_alone(make_config):
    config = make_config()
    error = ["ConfigError", "These do not go together."]
    found = search(config, orders={"fails": [1, 3], "error": error}, max_trials=5)
    assert [trial.status for trial in found.trials] == [COMPLETED, FAILED, COMPLETED, FAILED, COMPLETED]
    assert found.trials[1].reason == "These do not go together."


def test_bad_data_ends_the_search_in_a_later_trial_too(make_config):
    config = make_config()
    with pytest.raises(TuningError, match="Trial 0002 cannot be trained"):
        search(config, orders={"fails": [2], "error": ["DataError", "The file is gone."]}, max_trials=5)


def test_values_that_do_not_go_together_fail_before_a_process_is_started(make_config):
    config = make_config(end_learning_rate=4e-5)
    space = {"fit.learning_rate": [1e-5, 2e-5, 6e-5, 8e-5]}
    found = search(config, space=space, max_trials=5)
    for trial in found.trials:
        low = trial.values["fit.learning_rate"] < 4e-5
        assert (trial.status == FAILED) == low
        assert ("These values do not go together" in trial.reason) == low
        assert folder_of(config).trial(trial.id).run.exists() != low
    assert {trial.status for trial in found.trials} == {COMPLETED, FAILED}


def test_a_trial_that_was_killed_may_have_lacked_memory(make_config):
    found = search(make_config(), orders={"dies": [1]}, max_trials=3)
    assert [trial.status for trial in found.trials] == [COMPLETED, FAILED, COMPLETED]
    assert "killed by the system, as a rule for lack of memory" in found.trials[1].reason


def test_out_of_memory_on_a_device(make_config):
    orders = {"fails": [1], "error": ["ResourceExhaustedError", "OOM when allocating tensor"]}
    found = search(make_config(), orders=orders, max_trials=2)
    assert found.trials[1].reason == "Out of memory: OOM when allocating tensor"


def test_a_failed_trial_is_not_tried_again(make_config):
    config = make_config()
    search(config, orders={"fails": [1]}, max_trials=2)
    search(config, max_trials=3)
    assert [trial.status for trial in trials_of(config)] == [COMPLETED, FAILED, COMPLETED]
    assert len(begun(config, "0001")) == 1


def test_a_failed_baseline_leaves_nothing_to_compare_with(make_config):
    found = search(make_config(), orders={"fails": [0]}, max_trials=3)
    assert found.conclusion.baseline is None and found.conclusion.difference is None
    assert found.best.id != "0000"
