#!/usr/bin/env python3
"""Serving: the SavedModel against `model.predict` and onnxruntime, loading with and without warm-up, and many clients.

scripts/benchmark_serving.py saved_models/NAME [--data reviews.csv] [--rounds 5] [--skip-onnx]

Every system runs in a process of its own and gets the same texts, in turns; all tokenize by themselves. Shown are
ratios of CPU time to the SavedModel's text signature, median and range over the rounds. onnxruntime gets an environment
of its own (in --environment), in which tf2onnx converts the signature `token_ids` of the model's own encoder.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarking.predict_systems import make_padded_graph

ROOT = Path(__file__).resolve().parent.parent
ONNX_PACKAGES = ["onnxruntime", "tf2onnx", "tensorflow", "tf-keras", "tokenizers"]
CLIENTS = 32
SECONDS = 60


# The systems: each gives a function from texts to logits --------------------------------------------------------------


def saved_model(export, onnx):
    import numpy as np
    import tensorflow as tf

    serve = tf.saved_model.load(export).signatures["text"]
    return lambda texts: np.array(serve(text=tf.constant(texts))["logits"])


def keras_predict(export, onnx):
    sys.path.insert(0, str(ROOT))
    from tf_finetune.model.trained import load_run
    from tf_finetune.run import ModelFolder
    from tf_finetune.tokens.table import TokenTable

    loaded = load_run(ModelFolder(Path(export).parent))

    def answer(texts):
        columns = TokenTable.of_texts(loaded.encoder, texts).inputs()
        inputs = {name: columns[name] for name in loaded.spec}
        return loaded.model.predict(inputs, batch_size=len(texts), verbose=0).logits

    return answer


def onnxruntime(export, onnx):
    sys.path.insert(0, str(ROOT))
    import numpy as np
    from onnxruntime import InferenceSession, SessionOptions
    from tokenizers import Tokenizer

    from tf_finetune.tokens.truncation import keep

    info = json.loads((Path(export) / "assets.extra" / "export.json").read_text())
    tokenizer = Tokenizer.from_file(str(Path(export).parent / "run" / "tokenizer" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    settings = SessionOptions()
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads would count as CPU time
    session = InferenceSession(onnx, settings)

    def answer(texts):
        rows = []
        for encoding in tokenizer.encode_batch_fast(texts):
            ids = np.array(encoding.ids, np.int32)
            rows.append(np.concatenate([ids[:1], keep(ids[1:-1], info["max_length"] - 2, info["truncate"]), ids[-1:]]))
        length = max(map(len, rows))
        ids = np.array([np.pad(row, (0, length - len(row))) for row in rows], np.int32)
        mask = np.array([[1] * len(row) + [0] * (length - len(row)) for row in rows], np.int32)
        names = [value.name for value in session.get_inputs()]
        inputs = {name: ids if "input_ids" in name else mask for name in names}
        outputs = dict(zip((value.name for value in session.get_outputs()), session.run(None, inputs)))
        return outputs["logits"]

    return answer


SYSTEMS = {"SavedModel, text": saved_model, "model.predict": keras_predict, "onnxruntime": onnxruntime}


def work(name, export, onnx):
    """A worker: reads {"texts", "repeat"} lines, answers with CPU and wall seconds of a call and the last logits."""
    answer = SYSTEMS[name](export, onnx)
    print("{}", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        cpu, wall = time.process_time(), time.monotonic()
        for _ in range(request["repeat"]):
            logits = answer(request["texts"])
        taken = (time.process_time() - cpu, time.monotonic() - wall)
        seconds = dict(zip(("CPU", "wall"), (value / request["repeat"] for value in taken)))
        print(json.dumps({"seconds": seconds, "logits": logits.tolist()}), flush=True)


class Worker:
    """A system in a process of its own."""

    def __init__(self, python, name, export, onnx):
        words = [python, __file__, "--worker", name, str(export), "--onnx-file", str(onnx)]
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        self._answer()

    def run(self, texts, repeat):
        self.process.stdin.write(json.dumps({"texts": texts, "repeat": repeat}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            raise SystemExit(f"A worker died: {' '.join(map(str, self.process.args))}\n{self.log.read()[-2000:]}")
        return json.loads(line)


# The comparisons ------------------------------------------------------------------------------------------------------


def compare_latency(workers, cases, rounds):
    """CPU time of each system on each case, in turns."""
    for case, (texts, repeat) in cases.items():
        logits = {name: worker.run(texts, 2)["logits"] for name, worker in workers.items()}  # traces, warms up
        taken = {name: [] for name in workers}
        for number in range(rounds):
            for name in list(workers)[:: 1 if number % 2 else -1]:
                taken[name].append(workers[name].run(texts, repeat)["seconds"])
        own = taken["SavedModel, text"]
        times = ", ".join(f"{1000 * statistics.median(s[kind] for s in own):.1f} {kind} ms" for kind in ("CPU", "wall"))
        print(f"{case}: SavedModel, text: {times}")
        for name in workers:
            if name != "SavedModel, text":
                rows = zip(logits[name], logits["SavedModel, text"])
                apart = max(abs(a - b) for row, other in rows for a, b in zip(row, other))
                cpu, wall = (show([a[kind] / b[kind] for a, b in zip(taken[name], own)]) for kind in ("CPU", "wall"))
                print(f"  {name}: {cpu} times the CPU time, {wall} the wall time; logits within {apart:.0e}")


def show(ratios):
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


LOAD = """
import sys, time
import tensorflow as tf
start = time.process_time()
served = tf.saved_model.load(sys.argv[1]).signatures["text"]
loaded = time.process_time()
if sys.argv[2] == "warm":
    for words in (1, 128, 256):
        served(text=tf.constant(["good " * words]))
ready = time.process_time()
served(text=tf.constant([sys.argv[3]]))
print(loaded - start, ready - loaded, time.process_time() - ready)
"""


def compare_loading(export, text, rounds):
    """CPU time until the first answer, with warm-up requests before it and without."""
    first = {"cold": [], "warm": []}
    load, warmup = [], []
    for _ in range(rounds):
        for mode, taken in first.items():
            words = [sys.executable, "-c", LOAD, str(export), mode, text]
            out = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
            load.append(float(out[0]))
            taken.append(float(out[2]))
            warmup += [float(out[1])] if mode == "warm" else []
    print(f"load: {statistics.median(load):.2f} CPU s, and {statistics.median(warmup):.2f} CPU s for the warm-up")
    ratios = [cold / warm for cold, warm in zip(first["cold"], first["warm"])]
    cold, warm = (1000 * statistics.median(first[mode]) for mode in ("cold", "warm"))
    print(f"  first answer: {cold:.0f} CPU ms without warm-up, {warm:.0f} with it: {show(ratios)} times as much")


def run_clients(folder, texts, requests):
    """32 clients of the built-in server at once; every answer is compared."""
    from tf_finetune import Client
    from tf_finetune.serving.server import running_server

    with running_server(folder, port=0) as url:
        name = folder.resolve().name
        with Client(url, name) as client:
            expected = {text: client.predict([text])[0] for text in texts}
        end = time.monotonic() + SECONDS

        def one(number):
            right = wrong = 0
            with Client(url, name) as client:
                for i in range(requests):
                    if time.monotonic() > end:
                        break
                    text = texts[(number * requests + i) % len(texts)]
                    answer = client.predict([text])[0]
                    close = max(abs(a - b) for a, b in zip(answer.logits, expected[text].logits)) < 1e-5
                    right, wrong = right + close, wrong + (not close)
            return right, wrong

        start = time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as pool:
            counts = list(pool.map(one, range(CLIENTS)))
        taken = time.monotonic() - start
    right, wrong = (sum(column) for column in zip(*counts))
    lost = CLIENTS * requests - right - wrong
    print(
        f"built-in server, {CLIENTS} clients: {right / taken:.0f} requests a second; {right} right answers, "
        f"{wrong} wrong, {lost} not sent within {SECONDS} s"
    )
    if wrong:
        raise SystemExit("An answer was wrong.")


# The inputs -----------------------------------------------------------------------------------------------------------


def read_texts(path):
    with open(path, newline="", encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)]


FUSE_GELU = """
import sys, onnx
model = onnx.load(sys.argv[1])
nodes = model.graph.node
makers = {output: node for node in nodes for output in node.output}
for node in nodes:  # x/2 * erfc(-x * c), which onnxruntime does not know, is its own Gelu of x
    erfc = [makers[name] for name in node.input if name in makers and makers[name].op_type == "Erfc"]
    if erfc:
        neg = [makers[n] for n in makers[erfc[0].input[0]].input if n in makers and makers[n].op_type == "Neg"]
        node.CopyFrom(onnx.helper.make_node("Gelu", [neg[0].input[0]], list(node.output), domain="com.microsoft"))
for node in [node for node in nodes if node.op_type == "Erfc"]:
    nodes.remove(node)
model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
onnx.save(model, sys.argv[1])
"""


def make_onnx(environment, export):
    """An environment with onnxruntime, which is kept for the next time, and the converted model."""
    python = environment / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *ONNX_PACKAGES], check=True, capture_output=True)
    model = Path(tempfile.mkdtemp()) / "model.onnx"
    words = [python, "-m", "tf2onnx.convert", "--saved-model", export, "--signature_def", "token_ids", "--opset", "17"]
    done = subprocess.run([*words, "--output", model], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"tf2onnx failed:\n{done.stderr[-2000:]}")
    subprocess.run([python, "-c", FUSE_GELU, model], check=True)
    return python, model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="model folder with an export")
    parser.add_argument("--data", type=Path, default=ROOT / "tf_finetune" / "data" / "samples" / "reviews_test.csv")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=8, help="requests of each client")
    parser.add_argument("--environment", type=Path, default=Path(tempfile.gettempdir()) / "benchmark_serving_onnx")
    parser.add_argument("--skip-onnx", action="store_true")
    parser.add_argument("--worker", choices=SYSTEMS, help=argparse.SUPPRESS)
    parser.add_argument("--onnx-file", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, str(options.folder), options.onnx_file)
        return
    from tf_finetune.serving.exported import find_export

    folder, texts = options.folder, read_texts(options.data)
    export = find_export(folder).path
    pythons = {"SavedModel, text": sys.executable, "model.predict": sys.executable}
    model = None
    if not options.skip_onnx:
        padded = make_padded_graph(folder, tempfile.mkdtemp())
        pythons["onnxruntime"], model = make_onnx(options.environment, padded)
    long = " ".join(texts)[:1300]
    mixed = [(" ".join(texts[i : i + 1 + i % 8]))[:1300] for i in range(32)]
    cases = {"1 short text": ([texts[0][:60]], 20), "1 long text": ([long], 10), "32 mixed texts": (mixed, 2)}
    workers = {name: Worker(python, name, export, model) for name, python in pythons.items()}
    compare_latency(workers, cases, options.rounds)
    for worker in workers.values():
        worker.process.kill()
    compare_loading(export, texts[0], options.rounds)
    run_clients(folder, mixed, options.requests)


if __name__ == "__main__":
    main()
