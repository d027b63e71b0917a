"""Integrated gradients: equal to what can be computed by hand, and complete for architectures of every kind."""

import numpy as np
import pytest

from tests.explain.conftest import KINDS
from tf_finetune.errors import ModelError
from tf_finetune.explain.explanation import MOST_STEPS

DEFAULT = {"bert", "distilbert", "roberta"}
IDS = np.array([2, 7, 30, 11, 8, 25, 9, 3], np.int32)
TYPES = np.zeros(8, np.int32)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in DEFAULT else pytest.mark.slow) for kind in sorted(KINDS)]
)
def test_attributions_sum_to_the_difference_within_one_percent(kind, make_embedded):
    from tf_finetune.explain.gradients import integrate

    model = make_embedded(kind)
    assert model.checked_logits(IDS, TYPES).shape == (3,)
    baseline = IDS.copy()
    baseline[1:-1] = 1 if KINDS[kind].get("pad_token_id") else 0
    start, end = model.embed(baseline), model.embed(IDS)
    for label in range(3):
        found = integrate(lambda points, k=label: model.logits(points, TYPES)[:, k], start, end, steps=16)
        difference = float((model.logits(end[None], TYPES) - model.logits(start[None], TYPES))[0, label])
        assert abs(difference) > 0.01
        assert found.end - found.start == pytest.approx(difference, abs=1e-4)
        assert found.attributions.sum() == pytest.approx(difference, rel=0.01)
        assert found.attributions[0] == found.attributions[-1] == 0  # special tokens, which stay
        assert np.count_nonzero(found.attributions) == 6


def test_a_quadratic_function_has_the_integral_of_the_formula():
    from tf_finetune.backend import tf
    from tf_finetune.explain.gradients import integrate

    start, end = np.float32([[1, 0], [0, 0]]), np.float32([[3, 0], [1, 2]])
    found = integrate(lambda points: tf.reduce_sum(points**2, axis=[1, 2]), start, end, steps=2)
    assert found.attributions == pytest.approx([8, 5])  # the integral of 2 x dx in each direction
    assert (found.start, found.end, found.steps) == (1, 14, 2)


def test_steps_are_doubled_until_it_adds_up():
    from tf_finetune.backend import tf
    from tf_finetune.explain.gradients import integrate

    start, end = np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32)
    bend = integrate(lambda points: tf.tanh(40 * points[:, 0, 0] - 17.3), start, end, steps=2)
    assert bend.steps > 8 and bend.attributions.sum() == pytest.approx(2, rel=0.01)
    step = integrate(lambda points: tf.round(points[:, 0, 0] + 0.3) + 0 * points[:, 0, 0], start, end, steps=2)
    assert step.steps == MOST_STEPS and step.attributions.sum() == 0  # no gradient anywhere: it says how far it came


def test_numbers_that_are_not_finite_are_an_error():
    from tf_finetune.backend import tf
    from tf_finetune.explain.gradients import integrate

    with pytest.raises(ModelError, match="not finite"):
        integrate(
            lambda points: tf.math.log(points[:, 0, 0]),
            np.zeros((1, 1), np.float32),
            np.ones((1, 1), np.float32),
            steps=2,
        )


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("funnel", {"d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 16, "block_sizes": [1]}, "gives other logits"),
        (
            "bart",
            {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "eos_token_id": 3, "pad_token_id": 1},
            "does not compute from word embeddings",
        ),
    ],
)
@pytest.mark.slow
def test_what_cannot_be_explained_is_refused(kind, settings, message, make_embedded):
    model = make_embedded(kind, **settings)
    with pytest.raises(ModelError, match=f"The architecture {kind} cannot be explained: TF.* {message}"):
        model.checked_logits(IDS, TYPES)
