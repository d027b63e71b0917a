"""`push` against a stand-in of the hub: what arrives, what never leaves the folder, and what the errors teach."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from huggingface_hub import ModelCard

from tests.sharing.hub_stand_in import TOKEN, HubStandIn, Repository
from tf_finetune.cli.main import main
from tf_finetune.errors import ConfigError, RunError, ServingError
from tf_finetune.evaluation.calibration import calibrate
from tf_finetune.files import read_json
from tf_finetune.serving.exported import ExportFolder
from tf_finetune.sharing.card import write_card
from tf_finetune.sharing.push import plan_push, push

NAME = "acme/reviews-2"
ROOT = {
    "README.md",
    "config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
}
EXPORT = {
    "exports/1/saved_model.pb",
    "exports/1/fingerprint.pb",
    "exports/1/batching_params.pbtxt",
    "exports/1/variables/variables.index",
    "exports/1/variables/variables.data-00000-of-00001",
    "exports/1/assets.extra/export.json",
    "exports/1/assets.extra/tf_serving_warmup_requests",
}
TEXTS = ["the film was lovely .", "this meal was cold .", "naïve 良い"]


def stored(hub, branch="main", name=NAME):
    files = dict(hub.repositories[name].branches[branch])
    files.pop(".gitattributes")
    return files


def unpacked(files, folder):
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder


def test_what_arrives_is_the_model_and_no_text_or_path_of_ours(trained_run, hub, tmp_path):
    for name in ("checkpoints", "logs"):  # a run may have them
        (trained_run.run / name).mkdir()
        (trained_run.run / name / "vocab.txt").write_text("secret")
    (trained_run.tokenizer / "notes.txt").write_text("secret")
    pushed = push(trained_run.path, NAME)
    assert (pushed.url, pushed.changed, pushed.removed) == (f"{hub.url}/{NAME}", True, ())
    files = stored(hub)
    assert set(files) == ROOT | EXPORT == {file.path for file in pushed.files}
    assert {file.path: file.size for file in pushed.files} == {path: len(content) for path, content in files.items()}
    assert files["model.safetensors"] == (trained_run.model / "model.safetensors").read_bytes()
    assert hub.large  # through the storage of large files
    kept = [json.loads(line)["text"] for line in trained_run.validation_texts.read_text().splitlines()]
    command = read_json(trained_run.environment)["command"][0]
    paths = [str(tmp_path), str(trained_run.path), *([command] if os.sep in command else [])]
    for path, content in files.items():
        assert not any(text.encode() in content for text in kept), path
        for secret in ("secret", *paths):
            assert os.fsencode(secret) not in content, path
        assert b"/pytest-" not in content, path  # folders of the data and of the pretrained model
    card = ModelCard(files["README.md"].decode())
    assert f'from_pretrained("{NAME}")' in card.text and "reviews-2/exports/1 --data -" in card.text
    assert hub.repositories[NAME].messages == [f"Push tiny (run {trained_run.read_manifest().run_id})"]
    assert "saved_models/tiny" in trained_run.card.read_text()  # one to write into, if there was none


def test_what_arrives_loads_and_answers_as_the_run(trained_run, hub, tmp_path):
    from tf_finetune.backend import tf, transformers
    from tf_finetune.evaluation.predictor import load_predictor

    calibrate(trained_run.path)
    info = ExportFolder(trained_run.path / "1").read_info()
    expected = load_predictor(trained_run.path).probabilities(TEXTS)
    push(trained_run.path, NAME)
    files = stored(hub)
    assert set(files) == ROOT  # the export is of the run before it was calibrated
    folder = str(unpacked(files, tmp_path / "downloaded"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.TFAutoModelForSequenceClassification.from_pretrained(folder)
    inputs = tokenizer(TEXTS, truncation=True, max_length=info.max_length, padding=True, return_tensors="tf")
    logits = model(inputs).logits / trained_run.read_manifest().temperature
    np.testing.assert_allclose(tf.nn.softmax(logits).numpy(), expected, atol=1e-5)
    assert tuple(model.config.id2label.values()) == info.label_names


@pytest.mark.slow
def test_a_pushed_export_predicts(trained_run, hub, tmp_path):
    from tf_finetune.evaluation.found_model import find_model
    from tf_finetune.evaluation.predictor import load_predictor

    push(trained_run.path, NAME)
    folder = unpacked(stored(hub), tmp_path / "downloaded")
    found = find_model(folder / "exports" / "1").load(batch_size=8).probabilities(TEXTS)
    np.testing.assert_allclose(found, load_predictor(trained_run.path).probabilities(TEXTS), atol=1e-5)


def test_pushing_again_brings_what_is_new_and_removes_what_is_gone(trained_run, hub):
    push(trained_run.path, NAME)
    hub.repositories[NAME].branches["main"] |= {"LICENSE": b"mine", "exports/0/x": b"old", "added_tokens.json": b"{}"}
    again = push(trained_run.path, NAME)
    assert again.removed == ("added_tokens.json", "exports/0/x")
    assert set(stored(hub)) == ROOT | EXPORT | {"LICENSE"}
    puts = [path for method, path in hub.asked if method == "PUT"]
    assert len(puts) == len(set(puts))  # nothing large travels twice
    unchanged = push(trained_run.path, NAME)
    assert (unchanged.changed, unchanged.commit) == (False, again.commit)
    assert set(push(trained_run.path, NAME, exports=False).removed) == EXPORT
    assert b"TensorFlow Serving" not in stored(hub)["README.md"]


def test_a_branch_is_made_and_main_stays(trained_run, hub):
    pushed = push(trained_run.path, NAME, revision="v2", message="Second try", exports=False)
    assert pushed.url == f"{hub.url}/{NAME}/tree/v2"
    assert set(stored(hub, "v2")) == ROOT and not stored(hub)
    assert hub.repositories[NAME].messages == ["Second try"]
    assert not push(trained_run.path, NAME, revision="v2", exports=False).changed


@pytest.mark.parametrize("private", [True, False])
def test_a_new_repository_is_private_if_asked(trained_run, hub, private):
    push(trained_run.path, NAME, private=private, exports=False)
    assert hub.repositories[NAME].private is private


def test_a_public_repository_is_not_taken_for_a_private_one(trained_run, hub):
    hub.repositories[NAME] = Repository()
    with pytest.raises(ServingError, match="exists and is public; --private is for new repositories"):
        push(trained_run.path, NAME, private=True)
    assert not stored(hub)


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"README.md": b"---\npipeline_tag: text-generation\n---\n"}, "a model for text-generation"),
        ({"README.md": b"---\nlibrary_name: keras-hub\n---\n"}, "a model of keras-hub"),
        ({"README.md": b'---\npipeline_tag: "\\e[31mred"\n---\n'}, r"a model for \\x1b\[31mred"),
        ({"adapter_config.json": b"{}"}, "an adapter for another model"),
    ],
)
def test_a_repository_of_another_kind_is_left_alone(trained_run, hub, files, kind):
    hub.repositories[NAME] = Repository(branches={"main": {".gitattributes": b"", **files}})
    with pytest.raises(ServingError, match=f"it holds {kind}, expected a text classifier of transformers or nothing"):
        push(trained_run.path, NAME)
    assert stored(hub) == files


def test_a_card_written_by_hand_goes_as_it_is(trained_run, hub):
    mine = write_card(trained_run.path).read_text().replace("## Scores", "## How good it is")
    trained_run.card.write_text(mine)
    push(trained_run.path, NAME, exports=False)
    assert stored(hub)["README.md"].decode() == mine == trained_run.card.read_text()


def test_what_a_person_wrote_goes_along(trained_run, hub):
    text = write_card(trained_run.path).read_text()
    trained_run.card.write_text(re.sub(r"\*To be filled in: Anything else\.\*", "Mind the gap.", text))
    push(trained_run.path, NAME, exports=False)
    assert b"<!-- keep: notes -->\nMind the gap.\n" in stored(hub)["README.md"]
    assert "notes" not in plan_push(trained_run.path, NAME).open_places


def test_what_people_wrote_on_the_hub_stays_there(trained_run, hub):
    hub.repositories[NAME] = Repository()
    hub.repositories[NAME].branches["main"]["README.md"] = b"---\nlicense: mit\n---\n"  # as the hub's own form makes it
    first = push(trained_run.path, NAME, exports=False)
    assert "notes" in first.open_places
    files = hub.repositories[NAME].branches["main"]
    text = files["README.md"].decode()
    text = text.replace("*To be filled in: Anything else.*", "From the hub.").replace("- tf\n", "- tf\n- cinema\n")
    files["README.md"] = text.replace("\n", "\r\n").encode()
    here = trained_run.card.read_text()
    mine = re.sub(r"(?<=<!-- keep: licence -->\n).*", "MIT, see the block.", here)
    trained_run.card.write_text(mine)
    calibrate(trained_run.path)
    pushed = push(trained_run.path, NAME, exports=False)
    card = ModelCard(stored(hub)["README.md"].decode())
    assert "<!-- keep: notes -->\nFrom the hub.\n" in card.content and "MIT, see the block." in card.content
    assert (card.data.license, card.data.tags.count("cinema"), card.data.tags.count("tf")) == ("mit", 1, 1)
    assert "are calibrated" in card.content and "# license" not in card.content
    assert pushed.open_places == ("description", "intended use", "bias and risks")
    assert not push(trained_run.path, NAME, exports=False).changed


def test_what_is_written_on_the_hub_meanwhile_is_not_lost(trained_run, hub, monkeypatch):
    from tf_finetune.sharing import push as pushing

    push(trained_run.path, NAME, exports=False)
    theirs = b"---\nlicense: mit\n---\n"

    def read(*words, **options):
        text = real(*words, **options)
        hub.repositories[NAME].branches["main"]["README.md"] = theirs
        return text

    real = pushing.read_file
    monkeypatch.setattr(pushing, "read_file", read)
    calibrate(trained_run.path)
    with pytest.raises(ServingError, match="someone else has changed the repository"):
        push(trained_run.path, NAME, exports=False)
    assert stored(hub)["README.md"] == theirs


@pytest.mark.parametrize(
    ("tags", "expected"), [("cinema", ["cinema"]), ("[cinema, 2024]", ["cinema", "2024"]), ("[[a], {b: c}]", [])]
)
def test_tags_on_the_hub_stay_whatever_their_form(trained_run, hub, tags, expected):
    card = f"---\ntags: {tags}\n---\n".encode()
    hub.repositories[NAME] = Repository(branches={"main": {".gitattributes": b"", "README.md": card}})
    push(trained_run.path, NAME, exports=False)
    tags = ModelCard(stored(hub)["README.md"].decode()).data.tags
    assert tags == ["text-classification", "tf", "tf_finetune", *expected]


def test_a_card_written_by_hand_on_the_hub_is_not_lost(trained_run, hub):
    theirs = b"---\nlicense: mit\n---\n# What we know of it\n"
    hub.repositories[NAME] = Repository(branches={"main": {".gitattributes": b"", "README.md": theirs}})
    with pytest.raises(ServingError, match=r"written by hand, .* would be lost. To keep it, download it into"):
        push(trained_run.path, NAME, exports=False)
    assert stored(hub) == {"README.md": theirs}
    trained_run.card.write_bytes(theirs)  # what the message says
    push(trained_run.path, NAME, exports=False)
    assert stored(hub)["README.md"] == theirs and "config.json" in stored(hub)


def test_metadata_that_the_hub_refuses_stop_it_before_the_weights(trained_run, hub):
    trained_run.card.write_text("---\ntags: [\n---\n# Mine\n")
    with pytest.raises(ServingError, match="does not take the metadata at the head of the model card"):
        push(trained_run.path, NAME, exports=False)
    assert not stored(hub) and not hub.large


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/preupload/", 403, "no right to do this. It needs write access"),
        ("/api/repos/create", 403, "no right to do this"),
        ("/lfs/[0-9a-f]{64}", 413, "too large"),
        ("/commit/", 412, "changed the repository at the same moment"),
        ("/commit/", 418, r" \(words of the hub\)\.$"),
        ("/api/models/", 429, "asked too often"),
        ("/api/models/", 503, "try again later"),
    ],
)
def test_a_hub_that_refuses_is_understood(trained_run, hub, monkeypatch, address, status, words):
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)  # between its own tries
    hub.refuse[address] = (status, "words of the hub")
    with pytest.raises(ServingError, match=rf"acme/reviews-2 was not pushed: the hub answered {status}.*{words}"):
        push(trained_run.path, NAME, exports=False)
    assert NAME not in hub.repositories or not stored(hub)


def test_a_wrong_token_is_said_and_not_shown(trained_run, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_of_someone_else")
    with pytest.raises(ServingError, match="does not accept the token. Log in") as caught:
        push(trained_run.path, NAME)
    assert "hf_of" not in str(caught.value)
    assert not hub.repositories


def test_a_name_that_is_not_ours_is_refused_by_the_hub(trained_run, hub):
    with pytest.raises(ServingError, match="You don't have the rights.*no right to do this"):
        push(trained_run.path, "others/reviews")


def test_without_a_token_no_one_is_asked(trained_run, hub, monkeypatch, tmp_path):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(ServingError, match="no token for the hub. Log in with a token that may write"):
        push(trained_run.path, NAME)
    assert not hub.asked


def test_offline_and_unreachable_are_told_apart(trained_run, hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # no one listens there
    with pytest.raises(ServingError, match=r"at http://127.0.0.1:9 cannot be reached \(.*refused.*HF_ENDPOINT"):
        push(trained_run.path, NAME)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ServingError, match="HF_HUB_OFFLINE is set. Unset it, or look with --dry-run"):
        push(trained_run.path, NAME)


@pytest.mark.parametrize("name", ["reviews", "acme/", "/reviews", "a/b/c", "acme/re views", "acme/../x", "acmé/x", ""])
def test_a_name_that_no_hub_takes_is_a_wrong_option(trained_run, hub, name):
    with pytest.raises(ConfigError, match="must be named ORG/NAME"):
        push(trained_run.path, name)
    assert not hub.asked


@pytest.mark.parametrize("revision", ["", "../main", "-x", "a b", "a//b", "x.lock", "é"])
def test_a_branch_that_git_refuses_is_a_wrong_option(trained_run, hub, revision):
    with pytest.raises(ConfigError, match="--revision takes the name of a branch"):
        push(trained_run.path, NAME, revision=revision)
    with pytest.raises(ConfigError, match="--message"):
        push(trained_run.path, NAME, message=" ")
    assert not hub.asked


@pytest.mark.parametrize("path", ["README.md", "run/model/config.json", "run/tokenizer/vocab.txt", "1/saved_model.pb"])
def test_links_are_refused(trained_run, hub, tmp_path, path):
    outside = tmp_path / "private.txt"
    outside.write_text("secret")
    link = trained_run.path / path
    for target in (outside, trained_run.validation_texts):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        with pytest.raises(RunError, match="is a link, to .* Only files that lie in the model folder themselves"):
            push(trained_run.path, NAME)
    assert not hub.asked


def test_linked_folders_are_refused(trained_run, hub, tmp_path):
    (trained_run.path / "1" / "variables").rename(tmp_path / "variables")
    (trained_run.path / "1" / "variables").symlink_to(tmp_path / "variables")
    with pytest.raises(RunError, match="variables is a link to a folder"):
        push(trained_run.path, NAME)
    (trained_run.path / "1" / "variables").unlink()
    with pytest.raises(RunError, match="damaged: it has no variables/variables.index"):
        push(trained_run.path, NAME)
    (tmp_path / "link").symlink_to(trained_run.path)  # the whole folder may have another name
    assert plan_push(tmp_path / "link", NAME, exports=False).files
    assert not hub.asked


def test_what_is_no_finished_run_is_refused(trained_run, hub, tmp_path):
    with pytest.raises(RunError, match="no model folder"):
        push(tmp_path / "nowhere", NAME)
    weights = trained_run.model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(RunError, match="is not the file that the run was finished with"):
        push(trained_run.path, NAME)
    weights.unlink()
    with pytest.raises(RunError, match="there is no .*model.safetensors"):
        push(trained_run.path, NAME)
    trained_run.complete.unlink()
    with pytest.raises(RunError, match="unfinished"):
        push(trained_run.path, NAME)
    assert not hub.asked


def test_dry_run_lists_files_and_bytes_and_asks_no_one(trained_run, hub, capsys, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    arguments = ["push", str(trained_run.path), NAME, "--dry-run", "--private", "--revision", "v2", "--message", "hi"]
    assert main(arguments) == 0
    told = capsys.readouterr()
    listed = dict(reversed(line.split()) for line in told.out.splitlines())
    assert set(listed) == ROOT | EXPORT
    size = (trained_run.model / "model.safetensors").stat().st_size
    assert listed["model.safetensors"] == f"{size:,}"
    assert "14 files, " in told.err and "branch v2, private if it is new: 'hi'" in told.err
    assert not hub.asked and not trained_run.card.exists()


def test_the_command_pushes_through_hf_endpoint_without_tensorflow(trained_run):
    code = "import sys; from tf_finetune.cli.main import main; print(main(), 'tensorflow' in sys.modules)"
    with HubStandIn() as hub:
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_TOKEN": TOKEN}
        told = subprocess.run(
            [sys.executable, "-c", code, "push", str(trained_run.path), NAME],
            env={**environment, "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
        )
        assert told.stdout == f"{hub.url}/{NAME}\n0 False\n"
        done, waiting = told.stderr.splitlines()
        assert re.fullmatch(r"Pushed 14 files; commit [0-9a-f]{12}\.", done)
        assert "waits for your words: description, intended use, bias and risks, licence, notes. Write" in waiting
        assert set(stored(hub)) == ROOT | EXPORT


def test_exit_codes(trained_run, hub, capsys):
    assert main(["push", str(trained_run.path), "reviews"]) == 2
    hub.refuse["/"] = (403, "no")
    assert main(["push", str(trained_run.path), NAME]) == 1
    assert "error: acme/reviews-2 was not pushed: the hub answered 403" in capsys.readouterr().err


@pytest.mark.slow
def test_from_pretrained_loads_it_from_the_hub_by_name(trained_run, hub, tmp_path):
    push(trained_run.path, NAME)
    code = (
        "from transformers import AutoTokenizer, TFAutoModelForSequenceClassification as Model\n"
        f"model, tokenizer = Model.from_pretrained('{NAME}'), AutoTokenizer.from_pretrained('{NAME}')\n"
        "print(model(tokenizer(['the film was lovely .'], return_tensors='tf')).logits.numpy().tolist()[0])"
    )
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "home")}
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "HF_TOKEN": TOKEN, "NO_PROXY": "127.0.0.1", "USE_TORCH": "0", "TF_USE_LEGACY_KERAS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    from tf_finetune.model.trained import load_run

    loaded = load_run(trained_run)
    inputs = loaded.encoder.tokenizer(TEXTS[:1], return_tensors="tf")
    expected = loaded.model({name: inputs[name] for name in loaded.spec}).logits.numpy()[0]
    np.testing.assert_allclose(json.loads(told.stdout.splitlines()[-1]), expected, atol=1e-5)
