from __future__ import annotations

from pathlib import Path

import pytest

from tf_finetune.config import Config, resolve_config
from tf_finetune.errors import ConfigError


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "run.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def faults(**sources) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        resolve_config(**sources)
    first, *rest = str(caught.value).split("\n  ")
    assert not rest or first == f"{len(rest)} faults in the configuration:"
    return rest or [first]


def test_nothing_given_is_all_defaults() -> None:
    assert resolve_config() == Config()


def test_the_later_source_wins(write) -> None:
    file = write("fit: {epochs: 4, batch_size: 4, learning_rate: 4.0e-5, power: 4}\n")
    config = resolve_config(
        file=file,
        flags={"batch_size": "5", "learning_rate": "5e-4", "power": "5"},
        assignments=["fit.learning_rate=6e-4", "fit.power=6", "fit.power=7"],
    )
    assert (config.fit.epochs, config.fit.batch_size, config.fit.learning_rate, config.fit.power) == (4, 5, 6e-4, 7.0)
    assert config.fit.seed == Config().fit.seed


def test_numbers_without_a_point_are_numbers(write) -> None:
    assert resolve_config(file=write("fit: {learning_rate: 3e-5}")).fit.learning_rate == 3e-5
    assert resolve_config(file=write("fit: {learning_rate: '3e-5'}")).fit.learning_rate == 3e-5
    assert resolve_config(file=write("fit: {clip_norm: 2}")).fit.clip_norm == 2.0


@pytest.mark.parametrize("word", ["no", "off", "2024-01-01", "1:30", "010", "0x1f", "1_000", "yes", "True", ".inf"])
def test_words_that_older_yaml_reads_as_something_else_are_text(write, word: str) -> None:
    assert resolve_config(file=write(f"data: {{text_column: {word}}}")).data.text_column == word


def test_tuples_take_one_text_or_a_list(write) -> None:
    assert resolve_config(file=write("data: {data: a.csv}")).data.data == ("a.csv",)
    assert resolve_config(file=write("data:\n  data:\n  - a.csv\n  - b.csv")).data.data == ("a.csv", "b.csv")
    assert resolve_config(flags={"data": ("a.csv", "b.csv")}).data.data == ("a.csv", "b.csv")
    assert resolve_config(assignments=["data.data=[a.csv, b.csv]"]).data.data == ("a.csv", "b.csv")
    assert resolve_config(assignments=["data.data=a,b=c.csv"]).data.data == ("a,b=c.csv",)


def test_null_unsets_what_a_file_set(write) -> None:
    file = write("fit: {patience: 1}\ndata: {text_column: words}")
    config = resolve_config(file=file, assignments=["fit.patience=null", "data.text_column=null"])
    assert (config.fit.patience, config.data.text_column) == (None, None)


def test_a_flag_means_its_text_even_if_it_says_null() -> None:
    assert resolve_config(flags={"text_column": "null"}).data.text_column == "null"


def test_sections_with_nothing_in_them_are_fine(write) -> None:
    assert resolve_config(file=write("fit:\n  # epochs: 3\nrun: {}\ndata: ~\n")) == Config()


def test_all_faults_of_all_sources_come_in_one_error(write) -> None:
    file = write("fit:\n  epochs: 0\n  learning_rat: 1\nfitt: {}\n")
    assert faults(
        file=file, flags={"seed": "x", "epoch": 3}, assignments=["tokens.max_length=3", "fit.patience=no"]
    ) == [
        f"{file}:3: section `fit` has no key `learning_rat`. Did you mean fit.learning_rate?",
        f"{file}:4: there is no section `fitt`. Did you mean `fit`?",
        "there is no option `epoch`. Did you mean `epochs`?",
        f"{file}:2: fit.epochs: expected a whole number, at least 1. Received: 0.",
        "--seed: expected a whole number, at least 0, at most 2147483647. Received: 'x'.",
        "--set tokens.max_length: expected a whole number, at least 4. Received: '3'.",
        "--set fit.patience: expected a whole number, at least 1, or null. Received: 'no'.",
    ]


def test_a_wrong_value_is_a_fault_even_where_a_flag_replaces_it(write) -> None:
    file = write("fit: {epochs: 0}")
    assert faults(file=file, flags={"epochs": "3"}) == [
        f"{file}:1: fit.epochs: expected a whole number, at least 1. Received: 0."
    ]


def test_contradictions_come_with_the_other_faults() -> None:
    found = faults(flags={"end_learning_rate": "1", "seed": "x"})
    assert [fault.split(":")[0] for fault in found] == [
        "--seed",
        "--end-learning-rate 1 is above --learning-rate 5e-05",
    ]


def test_no_contradiction_is_made_out_of_another_fault(write) -> None:
    assert len(faults(flags={"patience": "5", "epochs": "x"})) == 1
    assert len(faults(file=write("fit: {epoch: 9}"), flags={"patience": "5"})) == 1
    assert len(faults(file=Path("none.yaml"), flags={"patience": "5"})) == 1


def test_a_contradiction_between_sources_is_found(write) -> None:
    found = faults(file=write("fit: {patience: 4, epochs: 9}"), flags={"epochs": "4"})
    assert found == [
        "--patience 4 can never stop a run of --epochs 4: it needs 6 epochs or more. Leave it out, or give more epochs."
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("data: {epochs: 3}", ":1: section `data` has no key `epochs`; it belongs to section `fit`."),
        ("fit: {qqq: 3}", ":1: section `fit` has no key `qqq`. Its keys are epochs, batch_size"),
        ("fit: {learning-rate: 1}", ":1: section `fit` has no key `learning-rate`. Did you mean fit.learning_rate?"),
        ("learning_rate: 1", ":1: `learning_rate` is no section but a key of section `fit`: indent it"),
        ("qqq: {epochs: 3}", ":1: there is no section `qqq`. Sections are data, tokens, model, fit, export, run."),
        ("fit:\n  seed: 1\n  seed: 2", ":3: `seed` stands here and in line 2."),
        ("fit: {seed: 1}\nrun: {}\nfit: {seed: 2}", ":3: `fit` stands here and in line 1."),
        ("- fit", ":1: expected sections such as `fit:`. Received: a list."),
        ("fit", ":1: expected sections such as `fit:`. Received: 'fit'."),
        ("fit: 3", ":1: fit: expected keys. Received: '3'."),
        ("fit: [3]", ":1: fit: expected keys. Received: a list."),
        ("", ": holds no settings. `tf-finetune init` writes a file to start from."),
        ("# nothing\n", ": holds no settings."),
        ("fit:\n  seed: [1\n", ":3:1: this is not YAML: "),
        ("fit:\n\tseed: 1\n", ":2:1: this is not YAML: found character '\\t'"),
        ("fit: {}\n---\nrun: {}\n", ":2:1: this is not YAML: but found another document."),
        (b"fit: \xff\xfe", ": this is not YAML: "),
        ("[" * 5000, ": this is not YAML: "),
        ("fit: {seed: {a: 1}}", ":1: fit.seed: expected a value. Received: keys with values."),
        ("data: {data: [[a]]}", ":1: data.data: expected a list of plain values."),
        ("? [a]\n: b", ":1: expected a name. Received: a list."),
        ("run: {output: !!python/object/apply:os.getcwd []}", ":1: run.output: tags such as"),
        ("fit: !!python/object:a.B {seed: 1}", ":1: tags such as tag:yaml.org,2002:python/object:a.B are not read."),
        ("run: {output: !!python/name:os.getcwd x}", ":1: run.output: tags such as tag:yaml.org,2002:python/name"),
        ("run: {output: !!int abc}", ":1: run.output: tags such as tag:yaml.org,2002:int are not read."),
        ("run: {output: 7}", ":1: run.output: expected text that is not empty, or null. Received: 7. Quotes make"),
        ("fit: {epochs: null}", ":1: fit.epochs: expected a whole number, at least 1. Received: null."),
        ("export: {export: yes}", ":1: export.export: expected true or false. Received: 'yes'."),
        ("fit: {epochs: 1.5}", ":1: fit.epochs: expected a whole number, at least 1. Received: 1.5."),
        ("fit: {seed: " + "9" * 5000 + "}", ":1: fit.seed: expected a whole number"),
    ],
)
def test_a_fault_of_a_file_names_file_and_line(write, text: str | bytes, fault: str) -> None:
    file = write(text)
    found = faults(file=file)
    assert len(found) == 1
    assert found[0].startswith(f"{file}{fault}")
    assert len(found[0]) < 600


def test_aliases_cannot_blow_up(write) -> None:
    lines = ["data: &a0 [x, x, x]"] + [f"k{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}]" for i in range(1, 40)]
    assert len(faults(file=write("\n".join(lines)))) == 40


def test_a_file_that_is_missing_or_a_folder(tmp_path: Path) -> None:
    assert faults(file=tmp_path / "no.yaml") == [
        f"--config {tmp_path}/no.yaml: cannot be read: No such file or directory."
    ]
    assert faults(file=tmp_path) == [f"--config {tmp_path}: cannot be read: Is a directory."]


@pytest.mark.parametrize(
    ("assignment", "fault"),
    [
        ("epochs=3", "--set epochs=3: expected section.key=value. Write fit.epochs=3."),
        ("fit.epochs", "--set fit.epochs: expected section.key=value."),
        ("qqq=3", "--set qqq=3: expected section.key=value."),
        ("fti.epochs=3", "--set fti.epochs: there is no section `fti`. Did you mean `fit`?"),
        ("fit.epoch=3", "--set fit.epoch: section `fit` has no key `epoch`. Did you mean fit.epochs?"),
        ("run.epochs=3", "--set run.epochs: section `run` has no key `epochs`; it belongs to section `fit`."),
        ("fit.epochs=", "--set fit.epochs: expected a whole number, at least 1. Received: ''."),
        ("data.data=[a, {b]", "--set data.data=[a, {b]"),
        ("data.data=[{a: b}]", "--set data.data: expected a list of plain values."),
    ],
)
def test_a_fault_of_an_assignment_quotes_it(assignment: str, fault: str) -> None:
    found = faults(assignments=[assignment])
    assert len(found) == 1
    assert found[0].startswith(fault if "{b]" not in fault else "--set data.data: expected a YAML value.")
