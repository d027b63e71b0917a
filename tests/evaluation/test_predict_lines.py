from __future__ import annotations

import io
import json
import os
import threading

import pytest

from tf_finetune.errors import DataError, ModelError
from tf_finetune.evaluation.predict import predict_lines

FOLDER = "saved_models/none"


def stream(data: bytes, **options) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data), **{"encoding": "utf-8", **options})


def answers(lines) -> list[dict]:
    written: list[str] = []
    predict_lines(FOLDER, lines, written.append)
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in written)
    return [json.loads(line) for line in written]


class Reading(threading.Thread):
    """`predict_lines` on the reading end of a pipe; `arrived` is released once a line."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        reading, self.writing = os.pipe()
        self.file = os.fdopen(reading, encoding="utf-8")
        self.written: list[str] = []
        self.arrived = threading.Semaphore(0)
        self.count: int | None = None

    def run(self) -> None:
        with self.file:
            self.count = predict_lines(FOLDER, self.file, self.write)

    def write(self, line: str) -> None:
        self.written.append(line)
        self.arrived.release()

    def send(self, data: bytes) -> None:
        os.write(self.writing, data)

    def wait(self, lines: int) -> None:
        for _ in range(lines):
            assert self.arrived.acquire(timeout=10), "an answer was held back"


def test_each_line_becomes_one_json_object(predictor):
    assert answers(stream('good\n\n良い "x"\n'.encode())) == [
        {"text": "good", "label": "positive", "confidence": 0.8, "probabilities": {"negative": 0.2, "positive": 0.8}},
        {"text": "", "label": "negative", "confidence": 1.0, "probabilities": {"negative": 1.0, "positive": 0.0}},
        {
            "text": '良い "x"',
            "label": "positive",
            "confidence": 0.8571429,
            "probabilities": {"negative": 0.1428571, "positive": 0.8571429},
        },
    ]


def test_answers_arrive_while_the_input_is_open(predictor):
    reading = Reading()
    reading.start()
    reading.send(b"one\ntwo\nthr")
    reading.wait(2)
    assert [json.loads(line)["text"] for line in reading.written] == ["one", "two"]
    reading.send(b"ee\n")
    reading.wait(1)
    assert json.loads(reading.written[2])["text"] == "three"
    assert reading.is_alive()
    os.close(reading.writing)
    reading.join(10)
    assert reading.count == 3


def test_lines_that_arrive_together_share_a_call_of_the_model(predictor):
    reading = Reading()
    reading.send(b"a\nb\nc\n")
    reading.start()
    reading.wait(3)
    os.close(reading.writing)
    reading.join(10)
    assert predictor.asked == [["a", "b", "c"]]


def test_many_lines_are_taken_in_parts_of_at_most_256(predictor):
    texts = [str(i) for i in range(1000)]
    assert [line["text"] for line in answers(stream("\n".join(texts).encode()))] == texts
    assert max(map(len, predictor.asked)) == 256


def test_a_line_longer_than_one_read_is_one_text(predictor):
    long = "x" * 200_000
    assert [line["text"] for line in answers(stream(f"{long}\nshort".encode()))] == [long, "short"]


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        (b"", []),
        (b"no end", ["no end"]),
        (b"one\r\ntwo\r\n", ["one", "two"]),
        (b"\xef\xbb\xbfmarked\n", ["marked"]),
        (b"\n\n", ["", ""]),
        ("separated\u2028here\x0b\n".encode(), ["separated\u2028here\x0b"]),
    ],
)
def test_where_lines_begin_and_end(predictor, data: bytes, texts: list[str]):
    assert [line["text"] for line in answers(stream(data))] == texts


def test_a_text_file_without_bytes_beneath_is_read_too(predictor):
    assert [line["text"] for line in answers(io.StringIO("one\n良い"))] == ["one", "良い"]


def test_the_encoding_of_the_input_is_used(predictor):
    assert answers(stream(b"caf\xe9\n", encoding="latin-1"))[0]["text"] == "café"


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_bytes_in_another_encoding_are_an_error_with_the_line_after_the_answers_before(predictor, errors: str):
    written: list[str] = []
    with pytest.raises(
        DataError, match=r"Line 3 of the input is not utf-8: byte 4.*Give the encoding .*--encoding cp1252"
    ):
        predict_lines(FOLDER, stream(b"one\ntwo\ncaf\xe9\nfour\n", errors=errors), written.append)
    assert [json.loads(line)["text"] for line in written] == ["one", "two"]


def test_half_a_surrogate_pair_is_an_error_with_the_line(predictor):
    with pytest.raises(DataError, match="Line 2 of the input is not utf-8"):
        predict_lines(FOLDER, io.StringIO("one\n\ud800\n"), lambda line: None)


def test_pairs_are_separated_by_a_tab(predictor):
    predictor.has_pairs = True
    first = answers(stream(b"left\tright\n"))[0]
    assert list(first) == ["text", "pair", "label", "confidence", "probabilities"]
    assert (first["text"], first["pair"], predictor.pairs) == ("left", "right", ["right"])


@pytest.mark.parametrize(("line", "tabs"), [(b"no tab", 0), (b"a\tb\tc", 2), (b"", 0)])
def test_a_line_that_is_no_pair_is_an_error_with_its_number(predictor, line: bytes, tabs: int):
    predictor.has_pairs = True
    written: list[str] = []
    with pytest.raises(DataError, match=f"Line 2 of the input must hold text TAB pair.*Received {tabs} tabs"):
        predict_lines(FOLDER, stream(b"a\tb\n" + line + b"\n"), written.append)
    assert len(written) == 1


def test_a_tab_is_text_where_the_model_takes_single_texts(predictor):
    assert answers(stream(b"a\tb\n"))[0]["text"] == "a\tb"


def test_line_numbers_count_on_over_parts(predictor):
    with pytest.raises(DataError, match="Line 601 of the input"):
        predict_lines(FOLDER, stream(b"ok\n" * 600 + b"\xff\n"), lambda line: None)


def test_probabilities_that_are_none_name_the_line(predictor):
    predictor.fails_on = "bad"
    with pytest.raises(ModelError, match="line 1: the model's probabilities"):
        predict_lines(FOLDER, stream(b"good\nbad\n"), lambda line: None)


def test_an_interrupt_passes_through_after_whole_lines(predictor):
    class Interrupted(io.BytesIO):
        def read1(self, size: int = -1) -> bytes:
            data = super().read1(4)
            if not data:
                raise KeyboardInterrupt
            return data

    written: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        predict_lines(FOLDER, io.TextIOWrapper(Interrupted(b"one\ntwo\nhalf"), encoding="utf-8"), written.append)
    assert [json.loads(line)["text"] for line in written] == ["one", "two"]
