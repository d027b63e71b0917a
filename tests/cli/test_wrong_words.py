"""What a user got wrong is said before TensorFlow is imported, which takes seconds."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import tiny_rows, write_csv

CODE = """
import sys
from tf_finetune.cli.main import main
sys.modules["tensorflow"] = sys.modules["transformers"] = None  # importing them would fail
for line in sys.stdin.read().splitlines():
    print(main(line.split("\\t")), flush=True)
"""

WRONG = [
    ("fit --data {none}", 1, "there is no such file"),
    ("fit --data {csv} --validation {none}", 1, "there is no such file"),
    ("fit --config {none}", 2, "cannot be read"),
    ("fit --data {csv} --model {none}/model", 1, "neither a folder nor a hub name"),
    ("fit --data {csv} --output {model}", 1, "holds a finished run"),
    ("fit --data {csv} --output {csv}", 1, "is a file; --output takes a folder"),
    ("fit --data {csv} --model {csv}", 1, "is a file; --model takes the folder"),
    ("fit --data {csv} --epochs 0", 2, "--epochs: expected a whole number, at least 1"),
    ("fit --data {csv} --devices tpu", 2, "--devices takes auto, cpu or a list"),
    ("fit --data {csv} --encoder unpadded --jit-compile", 2, "does not go with --jit-compile"),
    ("fit --data {csv} --encoder unpadded --precision mixed_float16", 2, "does not go with --precision mixed_float16"),
    ("fit {short} --text-column words", 1, "there is no column 'words'"),
    ("fit {short} --label-column words", 1, "there is no column 'words'"),
    ("fit {short} --label-map positive=", 1, "--label-map has no entry for 'negative'"),
    ("fit {short} --cache-dir {csv}", 1, "Cannot make the cache folder"),
    ("fit {short} --test {none}", 1, "there is no such file"),
    ("fit {short} --class-weights good=2", 2, "'good=2' does not begin with a class"),
    ("fit {short} --class-weights positive=x", 2, "a weight is a number of at least 0"),
    ("fit {short} --freeze head", 2, "--freeze takes 'embeddings' and layer numbers"),
    ("fit {short} --freeze embeddings,1-2", 2, "--freeze 1-2: bert has no layer 2; its layers are 0 to 1"),
    ("fit {short} --max-length 65", 1, "--max-length 65 is more than the 64 tokens"),
    ("fit {short} --max-length 65 --dry-run", 1, "--max-length 65 is more than the 64 tokens"),
    ("fit --data {one} --output {out}", 1, "A classifier needs two or more classes"),
    ("fit {short} --model {tapas}", 1, "'tapas' is not supported: it reads tables"),
    ("fit {short} --model {deberta} --jit-compile", 1, "--jit-compile does not work with deberta"),
    ("fit {short} --model {xlnet} --precision mixed_float16", 1, "--precision mixed_float16 does not work with xlnet"),
    ("fit {short} --model {wordless}", 1, "holds no tokenizer that can be loaded"),
    ("fit {short} --model {coded}", 1, "names Python code to be loaded"),
    ("fit {short} --model {weightless}", 1, "has no weights"),
    ("tune --data {none}", 1, "there is no such file"),
    ("tune {short} --space {none}", 2, "cannot be read"),
    ("tune {short} --space {csv}", 2, "expected names with values"),
    ("tune {short} --space {lengths}", 2, "tokens.max_length: 512: --max-length 512 is more than the 64 tokens"),
    ("tune {short} --space {epochs} --algorithm hyperband", 2, "fit.epochs cannot be searched by hyperband"),
    ("tune {short} --space {rates} --algorithm grid", 2, "a grid needs a list of values"),
    ("tune --resume {model}", 1, "holds no search"),
    ("evaluate {none} --data {csv}", 1, "There is no model folder"),
    ("evaluate {model} --data {none}", 1, "there is no such file"),
    ("evaluate {model} --data {csv} --label-column stars", 1, "there is no column 'stars'"),
    ("evaluate {model}/9 --data {csv}", 1, "There is no version 9"),
    ("evaluate {model} --data {csv} --split test", 2, "no effect"),
    ("evaluate {model}", 2, "--data: expected labelled texts"),
    ("evaluate {model} --data {csv} --pair-column text", 2, "trained on single texts"),
    ("evaluate {model} --data {csv} --label-map positive=", 1, "--label-map has no entry for 'negative'"),
    ("evaluate {model} --data {stars}", 1, "'5'"),
    ("predict {none} --data -", 1, "There is no model folder"),
    ("predict {model}/9 --data -", 1, "There is no version 9"),
    ("predict {model} --data {none} --output {out}.csv", 1, "there is no such file"),
    ("predict {model} --data {csv} --output {out}.doc", 2, "must end in one of"),
    ("predict {model} --data {csv} --output {out}.csv --text-column words", 1, "there is no column 'words'"),
    ("predict {model} --data {csv} --output {csv}", 2, "it is one of the input files"),
    ("predict {model} --data {csv} --output {stars}", 2, "--overwrite"),
    ("predict {model} --data {csv} --output {out}.csv --pair-column label", 2, "trained on single texts"),
    ("export {none}", 1, "There is no model folder"),
    ("export {model} --version 1", 1, "exists already"),
    ("export {model} --signatures pictures", 2, "--signatures takes some of text, token_ids, classify"),
    ("export {model} --max-length 65", 1, "more than the 64 tokens"),
    ("verify {none}", 1, "There is no folder"),
    ("verify {model}/9", 1, "There is no folder"),
    ("verify {model} --tolerance -1", 2, "--tolerance must be a positive number"),
    ("serve {none}", 1, "There is no folder"),
    ("serve {model}/9", 1, "There is no folder"),
    ("serve {model} --builtin --grpc-port 9", 2, "--grpc-port has no effect"),
    ("serve {model} --print --builtin", 2, "--builtin has no effect"),
    ("config show --epochs 0", 2, "--epochs: expected a whole number"),
    ("config show --config {none}", 2, "cannot be read"),
    ("versions {none}", 1, "There is no model folder"),
    ("promote {model} 9", 1, "has no version 9"),
    ("prune {none}", 1, "There is no model folder"),
]


def spoil(checkpoint, folder):
    """Copies of a checkpoint, each of which cannot be used for another reason: name to folder."""
    places = {name: folder / name for name in ("tapas", "deberta", "xlnet", "wordless", "coded", "weightless")}
    for name, place in places.items():
        shutil.copytree(checkpoint, place)
        if name in ("tapas", "deberta", "xlnet"):
            config = json.loads((place / "config.json").read_text())
            (place / "config.json").write_text(json.dumps(config | {"model_type": name}))
    for name in ("tokenizer.json", "vocab.txt"):
        (places["wordless"] / name).unlink()
    (places["coded"] / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": "x.Y"}}')
    (places["weightless"] / "model.safetensors").unlink()
    return places


def spaces(folder):
    """Space files that do not fit: name to path."""
    texts = {
        "lengths": "tokens.max_length: [16, 512]",
        "epochs": "fit.epochs: [1, 2]",
        "rates": "fit.learning_rate: {min: 1e-5, max: 1e-4}",
    }
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return {name: folder / f"{name}.yaml" for name in texts}


@pytest.fixture(scope="module")
def answers(tiny_run, tiny_checkpoint, reviews_csv, tmp_path_factory):
    """Exit codes, and what was said, of all wrong command lines in one process without TensorFlow."""
    scratch = tmp_path_factory.mktemp("wrong")
    places = {
        "none": scratch / "none",
        "out": scratch / "out",
        "csv": reviews_csv,
        **spaces(scratch),
        "one": write_csv(scratch / "one.csv", [row for row in tiny_rows() if row[1] == "positive"]),
        "stars": write_csv(scratch / "stars.csv", [("good", "5"), ("bad", "1")]),
        "model": tiny_run.run.path,
        "short": f"--data {reviews_csv} --model {tiny_checkpoint} --max-length 16",
        **spoil(tiny_checkpoint, scratch),
    }
    lines = ["\t".join(words.format(**places).split()) for words, _, _ in WRONG]
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        input="\n".join(lines),
        env=os.environ | {"TF_FINETUNE_CACHE": str(scratch)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return list(zip(map(int, done.stdout.split()), errors, strict=True))


@pytest.mark.parametrize("number", range(len(WRONG)), ids=[words for words, _, _ in WRONG])
def test_it_is_said_without_tensorflow(answers, number):
    _, code, message = WRONG[number]
    assert answers[number][0] == code
    assert message in answers[number][1]
