from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tf_finetune.errors import ConfigError, DataError, ModelError, RunError
from tf_finetune.evaluation.predict import PredictResult, predict, predict_lines

FOLDER = "saved_models/none"


@pytest.fixture
def reviews(tmp_path: Path) -> str:
    path = tmp_path / "reviews.csv"
    path.write_text("id,text,label\n1,good,positive\n2,,negative\n3,x,negative\n", encoding="utf-8")
    return str(path)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def json_file(path: Path, rows: list[dict]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_input_columns_come_first_and_ours_after_them(tmp_path: Path, reviews: str, predictor):
    output = tmp_path / "out.csv"
    result = predict(FOLDER, [reviews], str(output))
    assert result == PredictResult(rows=3, output=str(output), renamed={"label": "input_label"}, empty=1)
    columns = ["id", "text", "input_label", "label", "confidence", "prob_negative", "prob_positive"]
    assert [list(row.values()) for row in rows_of(output)] == [
        ["1", "good", "positive", "positive", "0.8", "0.2", "0.8"],
        ["2", "", "negative", "negative", "1.0", "1.0", "0.0"],
        ["3", "x", "negative", "negative", "0.5", "0.5", "0.5"],
    ]
    assert list(rows_of(output)[0]) == columns


def test_names_of_ours_in_the_input_are_prefixed_until_free(tmp_path: Path, predictor):
    row = {"input_label": "a", "label": "b", "text": "t", "prob_positive": 1, "input_input_label": "c"}
    output = tmp_path / "out.jsonl"
    result = predict(FOLDER, [json_file(tmp_path / "in.jsonl", [row])], str(output))
    assert result.renamed == {"label": "input_input_input_label", "prob_positive": "input_prob_positive"}
    written = json.loads(output.read_text())
    assert list(written)[:5] == [
        "input_label",
        "input_input_input_label",
        "text",
        "input_prob_positive",
        "input_input_label",
    ]
    assert [written[name] for name in list(written)[:5]] == list(row.values())
    assert written["label"] == "negative"


def test_types_survive_from_parquet_to_parquet_over_several_chunks(tmp_path: Path, predictor):
    rows = 2500
    table = pa.table(
        {
            "text": ["x" * (i % 7) for i in range(rows)],
            "stars": list(range(rows)),
            "verified": [i % 2 == 0 for i in range(rows)],
            "note": [None] * 1500 + ["late"] * 1000,
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    result = predict(FOLDER, [str(tmp_path / "in.parquet")], str(tmp_path / "out.parquet"))
    written = pq.read_table(tmp_path / "out.parquet")
    assert written.select(table.column_names).to_pydict() == table.to_pydict()
    assert [str(written.schema.field(name).type) for name in ("stars", "verified", "prob_negative")] == [
        "int64",
        "bool",
        "double",
    ]
    assert [len(texts) for texts in predictor.asked] == [1024, 1024, 452]
    lengths = np.arange(rows) % 7
    assert written.column("prob_positive").to_pylist() == pytest.approx(lengths / (lengths + 1), abs=1e-7)
    assert (result.rows, result.empty) == (rows, int((lengths == 0).sum()))


def test_missing_and_blank_texts_are_predicted_and_counted(tmp_path: Path, predictor):
    data = json_file(tmp_path / "in.jsonl", [{"text": None}, {"text": " "}, {"text": "abc"}])
    result = predict(FOLDER, [data], str(tmp_path / "out.jsonl"))
    assert (result.rows, result.empty) == (3, 2)
    assert predictor.asked == [["", " ", "abc"]]
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])["text"] is None


def test_a_text_that_is_none_is_an_error_with_its_row(tmp_path: Path, predictor):
    data = json_file(tmp_path / "in.jsonl", [{"text": "a"}, {"text": 7}])
    with pytest.raises(DataError, match=r"in.jsonl:2: column 'text' must hold text. Received: int 7."):
        predict(FOLDER, [data], str(tmp_path / "out.csv"))
    assert not (tmp_path / "out.csv").exists()


def test_pairs_reach_the_model(tmp_path: Path, predictor):
    predictor.has_pairs = True
    data = json_file(tmp_path / "in.jsonl", [{"text": "a", "other": "b"}, {"text": "c", "other": ""}])
    result = predict(FOLDER, [data], str(tmp_path / "out.csv"), pair_column="other")
    assert (predictor.asked, predictor.pairs, result.empty) == ([["a", "c"]], ["b", ""], 1)


def test_a_pair_model_asks_for_the_pair_column(tmp_path: Path, reviews: str, predictor):
    predictor.has_pairs = True
    with pytest.raises(DataError, match="trained on sentence pairs: give --pair-column. Columns: id, text, label"):
        predict(FOLDER, [reviews], str(tmp_path / "out.csv"))
    assert predictor.loads == 0
    assert not (tmp_path / "out.csv").exists()


def test_a_pair_column_without_a_pair_model_is_refused(tmp_path: Path, reviews: str, predictor):
    with pytest.raises(ConfigError, match="trained on single texts: leave out --pair-column id"):
        predict(FOLDER, [reviews], str(tmp_path / "out.csv"), pair_column="id")
    assert predictor.loads == 0
    assert not (tmp_path / "out.csv").exists()


def test_probabilities_that_are_none_stop_the_run_and_leave_nothing(tmp_path: Path, reviews: str, predictor):
    predictor.fails_on = "x"
    with pytest.raises(ModelError, match=r"reviews.csv:2: the model's probabilities are \[nan, nan\]"):
        predict(FOLDER, [reviews], str(tmp_path / "out.csv"))
    assert [path.name for path in tmp_path.iterdir()] == ["reviews.csv"]


@pytest.mark.parametrize(
    ("output", "error", "message"),
    [
        ("out.txt", ConfigError, "must end in one of .csv"),
        ("missing/out.csv", ConfigError, "there is no folder"),
        ("old.csv", ConfigError, "exists already"),
    ],
)
def test_a_bad_output_is_refused_before_the_model_is_loaded(
    tmp_path: Path, reviews: str, predictor, output: str, error: type[Exception], message: str
):
    (tmp_path / "old.csv").write_text("old")
    with pytest.raises(error, match=message):
        predict(FOLDER, [reviews], str(tmp_path / output))
    assert predictor.loads == 0
    assert (tmp_path / "old.csv").read_text() == "old"


@pytest.mark.parametrize("pattern", ["reviews.csv", "*.csv"])
def test_an_input_is_not_overwritten_even_through_a_glob(tmp_path: Path, reviews: str, predictor, pattern: str):
    before = Path(reviews).read_bytes()
    with pytest.raises(ConfigError, match="it is one of the input files"):
        predict(FOLDER, [str(tmp_path / pattern)], reviews, overwrite=True)
    assert Path(reviews).read_bytes() == before
    assert predictor.loads == 0


@pytest.mark.parametrize("options", [{"text_column": "words"}, {"pair_column": "words"}])
def test_a_column_that_is_not_there_is_refused_before_the_model_is_loaded(
    tmp_path: Path, reviews: str, predictor, options: dict[str, str]
):
    with pytest.raises(DataError, match="words"):
        predict(FOLDER, [reviews], str(tmp_path / "out.csv"), **options)
    assert predictor.loads == 0


def test_a_missing_file_is_refused_before_the_model_is_loaded(tmp_path: Path, predictor):
    with pytest.raises(DataError, match="gone.csv"):
        predict(FOLDER, [str(tmp_path / "gone.csv")], str(tmp_path / "out.csv"))
    assert predictor.loads == 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_run_is_refused_before_tensorflow_is_loaded(tmp_path: Path, reviews: str, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf_finetune.evaluation.predictor", None)  # importing it would fail
    with pytest.raises(RunError, match="There is no model folder"):
        predict(str(tmp_path / "none"), [reviews], str(tmp_path / "out.csv"))
    with pytest.raises(RunError, match="There is no model folder"):
        predict_lines(str(tmp_path / "none"), io.StringIO("text\n"), lambda line: None)


def test_a_broken_row_far_down_leaves_nothing(tmp_path: Path, predictor):
    data = json_file(tmp_path / "in.jsonl", [{"text": "a"}] * 2000)
    with open(data, "a", encoding="utf-8") as file:
        file.write("{broken\n")
    with pytest.raises(DataError, match="in.jsonl.*2001"):
        predict(FOLDER, [data], str(tmp_path / "out.csv"))
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_folder_of_texts_is_predicted_and_what_was_passed_over_is_logged(tmp_path: Path, predictor, caplog):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("one")
    (tmp_path / "in" / "b.txt").write_text("two")
    (tmp_path / "in" / "images").mkdir()
    predict(FOLDER, [str(tmp_path / "in")], str(tmp_path / "out.csv"))
    assert [(row["text"], row["file"]) for row in rows_of(tmp_path / "out.csv")] == [("one", "a.txt"), ("two", "b.txt")]
    assert "images: ignored" in caplog.text


def test_importing_the_wing_loads_nothing_heavy():
    code = (
        "import sys, tf_finetune.evaluation; "
        "print(sorted({'numpy', 'pyarrow', 'sklearn', 'tensorflow', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
