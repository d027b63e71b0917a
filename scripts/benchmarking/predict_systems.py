"""The systems of `benchmark_predict.py`: each from settings to a function from texts to their probabilities."""

import shutil
import sys
import tempfile
from pathlib import Path

from benchmarking.workers import ROOT

BATCH_SIZE = 32


def make_tokenize(settings):
    """From texts to the ids of each, cut as the run cuts them, by the fast tokenizer alone."""
    sys.path.insert(0, str(ROOT))
    import numpy as np
    from tokenizers import Tokenizer

    from tf_finetune.run import ModelFolder
    from tf_finetune.tokens.truncation import keep

    run = ModelFolder(Path(settings["folder"]))
    manifest = run.read_manifest()
    tokenizer = Tokenizer.from_file(str(run.tokenizer / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def tokenize(texts):
        rows = [np.array(encoding.ids, np.int32) for encoding in tokenizer.encode_batch_fast(texts)]
        budget = manifest.max_length - 2
        return [np.concatenate([row[:1], keep(row[1:-1], budget, manifest.truncate), row[-1:]]) for row in rows]

    return tokenize


def padded(rows):
    """Ids and mask int32 `[batch, length]`, padded to the longest row."""
    import numpy as np

    length = max(map(len, rows))
    ids = np.array([np.pad(row, (0, length - len(row))) for row in rows], np.int32)
    mask = np.array([[1] * len(row) + [0] * (length - len(row)) for row in rows], np.int32)
    return ids, mask


def softmax(logits):
    """Probabilities of logits, as lists."""
    import numpy as np

    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return (powers / powers.sum(-1, keepdims=True)).tolist()


def by_length(tokenize, forward):
    """Runs texts in batches of similar length, and gives the probabilities in the order of the texts."""
    import numpy as np

    def run(request):
        rows = tokenize(request["texts"])
        order = np.argsort([len(row) for row in rows], kind="stable")
        parts = [order[start : start + BATCH_SIZE] for start in range(0, len(order), BATCH_SIZE)]
        logits = np.concatenate([forward(*padded([rows[i] for i in part])) for part in parts])
        restored = np.empty_like(logits)
        restored[order] = logits
        return softmax(restored)

    return run


def ours(settings):
    """`load_predictor`, as `tf-finetune predict` has it."""
    sys.path.insert(0, str(ROOT))
    from tf_finetune import load_predictor

    predictor = load_predictor(settings["folder"], batch_size=BATCH_SIZE)
    return lambda request: predictor.probabilities(request["texts"]).tolist()


def keras_predict(settings):
    """`model.predict` over all texts, padded to the longest."""
    tokenize = make_tokenize(settings)
    from tf_finetune.model.trained import load_run
    from tf_finetune.run import ModelFolder

    loaded = load_run(ModelFolder(Path(settings["folder"])))

    def run(request):
        ids, mask = padded(tokenize(request["texts"]))
        columns = {"input_ids": ids, "attention_mask": mask, "token_type_ids": 0 * ids}
        inputs = {name: columns[name] for name in loaded.spec}
        return softmax(loaded.model.predict(inputs, batch_size=BATCH_SIZE, verbose=0).logits)

    return run


def pytorch(settings):
    """The model in eval mode without gradients, attention by its own kernel."""
    tokenize = make_tokenize(settings)
    import numpy as np
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification
    from transformers.modeling_tf_pytorch_utils import load_tf2_state_dict_in_pytorch_model

    torch.set_num_threads(settings["cores"])
    model = AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(settings["config"]))
    with np.load(settings["weights"]) as file:
        model = load_tf2_state_dict_in_pytorch_model(model, {name: file[name] for name in file.files}).eval()

    @torch.inference_mode()
    def forward(ids, mask):
        return model(
            input_ids=torch.from_numpy(ids).long(), attention_mask=torch.from_numpy(mask).long()
        ).logits.numpy()

    return by_length(tokenize, forward)


def onnxruntime(settings):
    """The graph of `make_padded_graph`, converted by tf2onnx."""
    tokenize = make_tokenize(settings)
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = settings["cores"]
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads would count as CPU time
    session = InferenceSession(settings["onnx"], options)
    names = [value.name for value in session.get_inputs()]
    place = [value.name for value in session.get_outputs()].index("logits")

    def forward(ids, mask):
        inputs = {name: ids if "input_ids" in name else mask for name in names}
        return session.run(None, inputs)[place]

    return by_length(tokenize, forward)


def make_torch_weights(run_folder, folder):
    """The run's weights under their names in TensorFlow, and its configuration, for PyTorch to load."""
    import numpy as np
    from safetensors.numpy import load_file

    from tf_finetune.run import ModelFolder

    model = ModelFolder(Path(run_folder)).model
    weights, config = Path(folder) / "weights.npz", Path(folder) / "config"
    np.savez(weights, **{f"model/{name}": value for name, value in load_file(model / "model.safetensors").items()})
    config.mkdir(exist_ok=True)
    shutil.copy(model / "config.json", config)
    return weights, config


def make_padded_graph(run_folder, folder):
    """A SavedModel of the run with the signature `token_ids`, without branches and loops, for tf2onnx."""
    from tf_finetune.model.trained import load_run
    from tf_finetune.run import ModelFolder
    from tf_finetune.serving.graph.saved_model import save

    place = Path(tempfile.mkdtemp(dir=folder))
    save(load_run(ModelFolder(Path(run_folder))), place, signatures=("token_ids",), unpadded=False)
    return place
