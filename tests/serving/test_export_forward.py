"""The served forward pass: the model's own encoder for few tokens, the unpadded one for many, the same logits."""

import numpy as np
import pytest

from tests.model.unpadded_models import batch, shared


def spec_of(inputs):
    from tf_finetune.backend import tf

    return {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in inputs}


def operations_of(forward):
    """Types of all operations in a traced graph."""
    graph = forward.get_concrete_function().graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return {node.op for node in nodes}


@pytest.mark.parametrize("kind", ["bert", "distilbert", "electra", "roberta"])
@pytest.mark.parametrize("lengths", [(), (1,), (9,), (9, 4, 1, 7, 12, 2), (20,) * 9])
def test_the_logits_are_the_models_own(kind, lengths):
    from tf_finetune.backend import tf

    model = shared(kind)
    forward = forward_of(kind)
    inputs, _ = batch(kind, lengths=lengths, longest=max(lengths, default=3))
    found = forward({name: tf.constant(value) for name, value in inputs.items()}).numpy()
    assert found.shape == (len(lengths), 3)
    if lengths:
        assert np.abs(found - model(inputs, training=False).logits.numpy()).max() < 1e-5


FORWARDS = {}


def forward_of(kind):
    from tf_finetune.serving.graph.forward import forward_of_all_sizes

    if kind not in FORWARDS:
        FORWARDS[kind] = forward_of_all_sizes(shared(kind), spec_of(batch(kind)[0]))
    return FORWARDS[kind]


@pytest.mark.parametrize(
    ("rows", "length", "taken"), [(1, 16, "own"), (4, 16, "own"), (5, 13, "unpadded"), (0, 9, "own")]
)
def test_few_positions_are_for_the_models_own_encoder(monkeypatch, rows, length, taken):
    import tf_finetune.serving.graph.forward as module
    from tf_finetune.backend import tf

    monkeypatch.setattr(module, "own_logits", lambda _: lambda inputs: tf.zeros([1, 1]))
    monkeypatch.setattr(module, "unpadded_logits", lambda _: lambda inputs: tf.ones([1, 1]))
    spec = {"input_ids": tf.TensorSpec([None, None], tf.int32)}
    forward = module.forward_of_all_sizes(None, spec)
    answer = forward({"input_ids": tf.ones([rows, length], tf.int32)})
    assert float(answer[0, 0]) == {"own": 0.0, "unpadded": 1.0}[taken]


def test_an_export_has_plain_operations_alone(tiny_run):
    from tf_finetune.serving.formats.op_releases import serving_releases
    from tf_finetune.serving.formats.saved_model_file import read_saved_model

    ops = read_saved_model(tiny_run.export / "saved_model.pb").ops
    assert {"If", "StatelessIf"} & set(ops) and {"While", "StatelessWhile"} & set(ops)
    assert not [name for name in ops if name.startswith(("Xla", "_"))]
    assert b"_XlaMustCompile" not in (tiny_run.export / "saved_model.pb").read_bytes()
    found = serving_releases(ops)
    assert not found.unknown and found.is_last
    assert int(found.oldest.split(".")[1]) <= 10


def test_a_graph_without_branches_can_be_asked_for():
    from tf_finetune.serving.graph.forward import forward_of_all_sizes

    inputs, _ = batch("bert")
    plain = forward_of_all_sizes(shared("bert"), spec_of(inputs), unpadded=False)
    for forward, has_branches in ((plain, False), (forward_of("bert"), True)):
        assert bool(operations_of(forward) & {"If", "StatelessIf", "While", "StatelessWhile"}) == has_branches


def test_an_export_of_the_models_own_encoder_has_no_branches(tiny_run, tmp_path):
    import shutil

    from tf_finetune import export
    from tf_finetune.errors import ConfigError
    from tf_finetune.serving.formats.saved_model_file import read_saved_model

    folder = tmp_path / "copied"
    shutil.copytree(tiny_run.run.path, folder)
    with pytest.raises(ConfigError, match="auto or model, not 'padded'"):
        export(folder, encoder="padded")
    path = export(folder, encoder="model", signatures=["token_ids"])
    ops = read_saved_model(path / "saved_model.pb").ops
    assert not {"If", "StatelessIf", "While", "StatelessWhile"} & set(ops)
