"""What is known of single architectures; `test_architectures` runs those that are allowed."""

import pytest

from tf_finetune.errors import ModelError
from tf_finetune.model.architectures import BROKEN, NOT_TEXT, check_architecture, check_settings, longest_input

KNOWN = ["bert", "roberta", "distilbert", "xlnet", "tapas", "esm"]


@pytest.mark.parametrize("kind", NOT_TEXT)
def test_what_is_no_text_classifier_is_refused_with_its_reason(kind):
    with pytest.raises(ModelError, match=f"'{kind}' is not supported: it ") as error:
        check_architecture(kind, [kind, "bert"])
    assert NOT_TEXT[kind] in str(error.value)


def test_an_unknown_architecture_gets_its_neighbours():
    with pytest.raises(
        ModelError, match="Nearest ones that have it: roberta, .*All: bert, distilbert, roberta, xlnet."
    ):
        check_architecture("robberta", KNOWN)
    with pytest.raises(ModelError, match="Nearest ones that have it: bert, distilbert, roberta."):
        check_architecture("qqq", KNOWN)
    check_architecture("bert", KNOWN)


@pytest.mark.parametrize("kind", [None, 3, [], {}])
def test_an_architecture_that_is_no_name(kind):
    with pytest.raises(ModelError, match="must name the architecture as model_type"):
        check_architecture(kind, KNOWN)


@pytest.mark.parametrize(("kind", "setting"), BROKEN)
def test_settings_that_break_an_architecture(kind, setting):
    options = {"precision": "float32", "jit_compile": False}
    flag = "--jit-compile" if setting == "jit_compile" else f"--precision {setting}"
    options |= {"jit_compile": True} if setting == "jit_compile" else {"precision": setting}
    with pytest.raises(ModelError, match=f"{flag} does not work with {kind}: ") as error:
        check_settings(kind, **options)
    assert BROKEN[kind, setting] in str(error.value) and "\n" not in str(error.value)
    check_settings(kind, precision="float32", jit_compile=False)
    check_settings("bert", **options)


def test_the_table_is_the_measured_one():
    assert set(BROKEN) == {
        ("deberta", "jit_compile"),
        ("longformer", "jit_compile"),
        ("longformer", "mixed_bfloat16"),
        ("longformer", "mixed_float16"),
        ("mistral", "mixed_bfloat16"),
        ("mistral", "mixed_float16"),
        ("xlnet", "mixed_bfloat16"),
        ("xlnet", "mixed_float16"),
    }
    assert set(NOT_TEXT) == {"esm", "layoutlm", "layoutlmv3", "tapas", "transfo-xl"}


@pytest.mark.parametrize(
    ("config", "longest"),
    [
        ({"model_type": "bert", "max_position_embeddings": 512}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514}, 512),
        ({"model_type": "mpnet", "max_position_embeddings": 514}, 512),
        ({"model_type": "gpt2", "n_positions": 1024}, 1024),
        ({"model_type": "xlnet", "max_position_embeddings": 512}, None),
        ({"model_type": "funnel"}, None),
        ({"model_type": "bert", "max_position_embeddings": "many"}, None),
        ({"model_type": "bert", "max_position_embeddings": -1}, None),
        ({}, None),
    ],
)
def test_longest_input(config, longest):
    assert longest_input(config) == longest
