import numpy as np
import pytest


def rates(count=None, **options):
    from tf_finetune.model.schedule import make_schedule

    schedule = make_schedule(**options)
    return [float(schedule(step)) for step in range(count or options["updates"])]


def test_warm_up_then_linear_decay():
    assert rates(updates=10, learning_rate=1.0, warmup_ratio=0.4) == pytest.approx(
        [0.25, 0.5, 0.75, 1.0, 1.0, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
    )


def test_no_warm_up_is_polynomial_decay_alone():
    from tf_finetune.backend import keras
    from tf_finetune.model.schedule import make_schedule

    assert rates(6, updates=4, learning_rate=1.0, warmup_ratio=0.0) == pytest.approx([1, 0.75, 0.5, 0.25, 0, 0])
    decay = make_schedule(updates=4, warmup_ratio=0.0)
    assert type(decay) is keras.optimizers.schedules.PolynomialDecay


def test_power_and_end():
    found = rates(6, updates=5, learning_rate=1.0, end_learning_rate=0.2, power=2.0, warmup_ratio=0.2)
    assert found == pytest.approx([1.0, 1.0, 0.2 + 0.8 * 0.75**2, 0.2 + 0.8 * 0.5**2, 0.2 + 0.8 * 0.25**2, 0.2])


def test_rates_stay_at_the_end_after_the_last_update():
    assert rates(30, updates=10, learning_rate=1.0, end_learning_rate=0.1)[10:] == pytest.approx([0.1] * 20)


def test_the_defaults():
    found = rates(updates=100)
    assert max(found) == pytest.approx(5e-5)
    assert found[:10] == pytest.approx([5e-6 * i for i in range(1, 11)])
    assert found[99] == pytest.approx(5e-5 / 90, rel=1e-4)


@pytest.mark.parametrize(("updates", "ratio"), [(1, 0.1), (1, 0.9), (2, 0.5), (3, 0.99)])
def test_short_runs_have_rates_above_zero(updates, ratio):
    found = rates(updates=updates, learning_rate=1.0, warmup_ratio=ratio)
    assert all(0 < rate <= 1 for rate in found)


def test_a_schedule_survives_serialisation():
    from tf_finetune.backend import keras
    from tf_finetune.model.schedule import WarmUp, make_schedule

    schedule = make_schedule(updates=10, learning_rate=0.3, end_learning_rate=0.1, power=2.0, warmup_ratio=0.3)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert isinstance(again, WarmUp)
    assert [float(again(i)) for i in range(12)] == [float(schedule(i)) for i in range(12)]
    optimizer = keras.optimizers.Adam.from_config(keras.optimizers.Adam(schedule).get_config())
    assert isinstance(optimizer._learning_rate, WarmUp)


def test_the_step_may_be_the_optimizers_variable():
    from tf_finetune.backend import tf
    from tf_finetune.model.schedule import make_schedule

    schedule = make_schedule(updates=10, learning_rate=1.0, warmup_ratio=0.4)
    found = tf.function(schedule)(tf.Variable(5, dtype=tf.int64))
    assert found.dtype == tf.float32 and np.isclose(found, 5 / 6)
