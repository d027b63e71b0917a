"""The space that is searched when none is given: every value goes with the configuration, whose own are among them."""

from pathlib import Path

import pytest

from tests.tuning.search_process import ALGORITHMS
from tf_finetune.config import Config, FitConfig, ModelConfig, TokensConfig
from tf_finetune.model.checkpoint import Checkpoint
from tf_finetune.training.inputs import check_length
from tf_finetune.tuning.default_space import default_space
from tf_finetune.tuning.search import Search
from tf_finetune.tuning.settings import TuneConfig
from tf_finetune.tuning.trial_config import values_of, with_values

BERT = {"model_type": "bert", "num_hidden_layers": 12, "max_position_embeddings": 512}
DISTILBERT = {"model_type": "distilbert", "n_layers": 6, "max_position_embeddings": 512}
SHALLOW = {"model_type": "bert", "num_hidden_layers": 2, "max_position_embeddings": 512}
FOUR = {"model_type": "bert", "num_hidden_layers": 4, "max_position_embeddings": 512}
UNNUMBERED = {"model_type": "funnel", "block_sizes": [4, 4, 4]}

CONFIGS = {
    "as it is": Config(),
    "unusual values": Config(
        tokens=TokensConfig(max_length=100),
        model=ModelConfig(freeze="embeddings,0"),
        fit=FitConfig(learning_rate=3e-4, batch_size=24, epochs=7, warmup_ratio=0.3, label_smoothing=0.2),
    ),
    "a low rate, patience": Config(fit=FitConfig(learning_rate=2e-6, weight_decay=0.3, epochs=9, patience=3)),
    "a rate that ends high": Config(fit=FitConfig(learning_rate=1e-4, end_learning_rate=8e-5)),
    "a constant rate": Config(fit=FitConfig(learning_rate=5e-4, end_learning_rate=5e-4)),
    "a token budget": Config(tokens=TokensConfig(max_length=128), fit=FitConfig(batch_size=32, token_budget=2048)),
    "a large budget": Config(tokens=TokensConfig(max_length=128), fit=FitConfig(batch_size=128, token_budget=9000)),
    "short texts": Config(tokens=TokensConfig(max_length=32)),
    "a loss": Config(fit=FitConfig(monitor="val_loss")),
    "XLA": Config(model=ModelConfig(jit_compile=True)),
}


def checkpoint(settings):
    here = Path("model")
    return Checkpoint("model", here, here, here / "model.safetensors", settings, "here")


def space_of(config, settings, algorithm):
    return default_space(config, checkpoint(settings), algorithm=algorithm, objective=config.fit.monitor)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "settings", [BERT, DISTILBERT, FOUR, SHALLOW, UNNUMBERED], ids=lambda s: str(list(s.items())[:2])
)
@pytest.mark.parametrize("name", CONFIGS)
def test_every_value_goes_with_the_configuration(name, settings, algorithm):
    config = CONFIGS[name]
    space = space_of(config, settings, algorithm)
    Search.new(config, space, TuneConfig(algorithm=algorithm), {})
    own = values_of(config, space.names)
    for dimension in space.dimensions:
        if dimension.values:
            assert own[dimension.name] in dimension.values
        else:
            assert dimension.low <= own[dimension.name] <= dimension.high
        for value in dimension.values or (dimension.low, dimension.high):
            changed = with_values(config, {dimension.name: value})
            check_length(settings, changed.tokens.max_length, name="model")
    assert "fit.seed" not in space.names


def test_what_is_searched_for_bert():
    found = space_of(Config(), BERT, "random").to_dict()
    assert found["fit.learning_rate"] == {"min": 1e-5, "max": 2e-4, "sampling": "log"}
    assert found["model.freeze"] == [None, "embeddings", "embeddings,0-3"]
    assert found["tokens.max_length"] == [Config().tokens.max_length // 2, Config().tokens.max_length]
    assert set(found) == {
        *("fit.learning_rate", "fit.batch_size", "fit.warmup_ratio", "fit.weight_decay", "fit.epochs"),
        *("tokens.max_length", "model.freeze", "fit.label_smoothing"),
    }


def test_what_does_not_go_with_the_search_is_left_out():
    config = Config()
    assert "fit.epochs" not in space_of(config, BERT, "hyperband").names
    assert space_of(config, BERT, "grid").names == ("fit.learning_rate", "fit.batch_size")
    assert "fit.label_smoothing" not in space_of(CONFIGS["a loss"], BERT, "random").names
    assert "model.freeze" not in space_of(config, SHALLOW, "random").names
    assert "tokens.max_length" not in space_of(CONFIGS["short texts"], BERT, "random").names
    assert "tokens.max_length" not in space_of(CONFIGS["a token budget"], BERT, "random").names


def test_layers_that_are_frozen_are_a_third_of_those_that_there_are():
    for settings, expected in ((BERT, "embeddings,0-3"), (DISTILBERT, "embeddings,0-1"), (FOUR, "embeddings,0")):
        assert space_of(Config(), settings, "random").to_dict()["model.freeze"] == [None, "embeddings", expected]


def test_the_default_grid_has_eight_combinations():
    space = space_of(Config(), BERT, "grid")
    assert [len(dimension.values) for dimension in space.dimensions] == [4, 2]
