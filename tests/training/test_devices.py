"""Training on two replicas, with XLA and in half precision (slow: each traces its own graphs)."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from tf_finetune.config import Config, DataConfig, ExportConfig, FitConfig, ModelConfig, RunConfig, TokensConfig
from tf_finetune.training.fit import fit


def short(tiny_checkpoint, reviews_csv, output, **model):
    return Config(
        data=DataConfig(data=(str(reviews_csv),), validation_split=0.25),
        tokens=TokensConfig(max_length=16),
        model=ModelConfig(model=str(tiny_checkpoint), **model),
        fit=FitConfig(epochs=4, batch_size=8, learning_rate=3e-3, seed=1),
        export=ExportConfig(export=False),
        run=RunConfig(output=str(output)),
    )


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"jit_compile": True}, {"precision": "mixed_float16"}], ids=str)
def test_xla_and_float16_train(tiny_checkpoint, reviews_csv, tmp_path, settings):
    result = fit(short(tiny_checkpoint, reviews_csv, tmp_path / "m", **settings))
    assert result.scores.log_loss < 0.69


@pytest.mark.slow
def test_two_replicas_learn_as_one_does(tiny_checkpoint, reviews_csv, tmp_path):
    """Its own process: TensorFlow splits the CPU into two devices only before it is used."""
    code = f"""
        from pathlib import Path
        from tf_finetune.backend import tf
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        import tf_finetune.training.prepare as prepare
        from tests.training.test_devices import short
        from tf_finetune.training.fit import fit
        if {{replicas}} == 2:
            prepare.make_strategy = lambda devices: tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
        config = short(Path({str(tiny_checkpoint)!r}), Path({str(reviews_csv)!r}), {str(tmp_path)!r} + "/{{replicas}}")
        result = fit(config)
        print(result.scores.log_loss, result.scores.accuracy)
    """
    scores = []
    for replicas in (1, 2):
        words = [sys.executable, "-c", textwrap.dedent(code).replace("{replicas}", str(replicas))]
        result = subprocess.run(words, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr[-2000:]
        scores.append([float(word) for word in result.stdout.split()])
    # Adam makes steps of the same size of gradients that are zero but for rounding, so that the two part slowly
    assert scores[1][0] < 0.65
    assert np.allclose(scores[0], scores[1], atol=0.1)
