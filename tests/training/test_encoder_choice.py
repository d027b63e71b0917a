"""The encoder that training uses: the unpadded one only where it applies and was found equal."""

import dataclasses

import numpy as np
import pytest

from tests.conftest import write_csv
from tf_finetune.config import Config, DataConfig, ExportConfig, FitConfig, ModelConfig, RunConfig, TokensConfig
from tf_finetune.errors import ConfigError
from tf_finetune.training.fit import fit


@pytest.fixture
def parts(tiny_checkpoint, reviews_csv):
    """A fresh tiny model, rows to check with, and its inputs."""
    from tf_finetune import encode, input_spec, load_model, load_tokenizer, read_examples
    from tf_finetune.model.resolve import resolve_model

    checkpoint = resolve_model(str(tiny_checkpoint))
    tokenizer = load_tokenizer(checkpoint.tokenizer_folder)
    table = encode(read_examples([str(reviews_csv)]), tokenizer, max_length=16)
    model = load_model(checkpoint, tokenizer, label_names=table_labels())
    return model, table, input_spec(model, tokenizer)


def table_labels():
    return ("negative", "positive")


def choose(parts, mode="auto", **settings):
    from tf_finetune.training.encoder import choose_encoder

    model, table, spec = parts
    return choose_encoder(model, mode, table, spec, seed=1, **settings)


def is_unpadded(model):
    return hasattr(vars(model).get("call"), "unpadded")


def test_where_it_fits_the_unpadded_encoder_is_used(parts):
    choice = choose(parts)
    assert choice.unpadded and is_unpadded(parts[0])
    assert choice.line.startswith("encoder: unpadded (logits and gradients within ")


def test_sizes_follow_from_the_batches_of_the_run(parts):
    choose(parts, count_tokens=lambda: np.array([30, 33, 500]))
    assert vars(parts[0])["call"].unpadded.sizes == (512,)  # a tiny model is computed sooner than compiled
    choose(parts)
    assert vars(parts[0])["call"].unpadded.sizes == ()


def test_the_model_keeps_its_own_with_encoder_model(parts):
    choice = choose(parts, "model", count_tokens=lambda: pytest.fail("counted for nothing"))
    assert not choice.unpadded and not is_unpadded(parts[0])
    assert choice.line == "encoder: the model's own (--encoder model)"


@pytest.mark.parametrize("difference", [1e-3, float("nan")])
def test_one_that_differs_is_not_used(parts, monkeypatch, difference):
    import tf_finetune.training.encoder as module

    monkeypatch.setattr(module, "check_equal", lambda *_: {"logits": 0.0, "a gradient": difference})
    choice = choose(parts)
    assert not choice.unpadded and not is_unpadded(parts[0])
    assert "differ by" in choice.reason
    with pytest.raises(ConfigError, match="--encoder unpadded: logits or gradients differ"):
        choose(parts, "unpadded")


def test_one_that_does_not_fit_is_not_used(parts):
    assert "XLA compiles the whole step" in choose(parts, jit_compile=True).reason
    with pytest.raises(ConfigError, match="--encoder unpadded: XLA compiles the whole step"):
        choose(parts, "unpadded", jit_compile=True)
    parts[0].config.hidden_act = "relu"
    assert "activation" in choose(parts).reason


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_mixed_precision_keeps_the_models_own(parts, tiny_checkpoint, dtype):
    from tf_finetune import load_model, load_tokenizer
    from tf_finetune.model.checkpoint import open_checkpoint

    tokenizer = load_tokenizer(tiny_checkpoint)
    checkpoint = open_checkpoint(tiny_checkpoint)
    model = load_model(checkpoint, tokenizer, label_names=table_labels(), precision=f"mixed_{dtype}")
    half = (model, *parts[1:])
    reason = f"it computes in {dtype}, and only float32 was found equal"
    assert choose(half).line == f"encoder: the model's own ({reason})" and not is_unpadded(model)
    with pytest.raises(ConfigError, match=f"--encoder unpadded: {reason}. Leave it out"):
        choose(half, "unpadded")


def test_mpnet_keeps_its_own(parts):
    from tests.model.unpadded_models import SIZES, make

    model = make("mpnet", **{**SIZES["roberta"], "num_hidden_layers": 1})
    line = choose((model, *parts[1:])).line
    assert line.endswith(
        "(TFMPNetForSequenceClassification: its attention adds a bias for each distance between two tokens)"
    )
    assert not is_unpadded(model)


def test_both_encoders_train_the_same_model(tiny_checkpoint, tmp_path):
    """The tiny checkpoint has no dropout: what remains is rounding."""
    from safetensors.numpy import load_file

    rows = [
        ("good " * (1 + i % 9), "positive") if i % 2 else ("bad film " * (1 + i % 5), "negative") for i in range(40)
    ]
    data = write_csv(tmp_path / "rows.csv", rows)
    config = Config(
        data=DataConfig(data=(str(data),), validation_split=0.25),
        tokens=TokensConfig(max_length=16),
        fit=FitConfig(epochs=2, batch_size=8, learning_rate=1e-3, seed=1),
        export=ExportConfig(export=False),
    )
    weights = {}
    for encoder in ("unpadded", "model"):
        model = ModelConfig(model=str(tiny_checkpoint), encoder=encoder)
        run = RunConfig(output=str(tmp_path / encoder))
        result = fit(dataclasses.replace(config, model=model, run=run))
        weights[encoder] = load_file(result.run.model / "model.safetensors")
    for name, value in weights["model"].items():
        assert np.allclose(weights["unpadded"][name], value, atol=2e-4), name
