"""`push`: a model with its tokenizer, card and exports to a repository of the Hugging Face hub, in one commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tf_finetune.errors import RunError, ServingError
from tf_finetune.pages.words import printable
from tf_finetune.run import ModelFolder
from tf_finetune.sharing.card import join_cards, open_places, refresh_card
from tf_finetune.sharing.contents import CARD, HubFile, hub_contents, is_ours
from tf_finetune.sharing.hub import check_names, hub_errors, open_hub, quiet_client, read_file
from tf_finetune.sharing.metadata import LIBRARY, TASK

__all__ = ["Plan", "Pushed", "plan_push", "push"]

ADAPTER = "adapter_config.json"
"""A file that makes a repository an adapter for another model, which `from_pretrained` would load then."""


@dataclass(frozen=True)
class Plan:
    """What a push is to do.

    Attributes:
        repo_id: Name of the repository.
        revision: Branch; None for the main one.
        private: Whether a new repository is private.
        message: Of the commit.
        files: All files, in the order of their names.
        open_places: Places of the card that no one has written into yet.
    """

    repo_id: str
    revision: str | None
    private: bool
    message: str
    files: tuple[HubFile, ...]
    open_places: tuple[str, ...]


@dataclass(frozen=True)
class Pushed:
    """What a push did.

    Attributes:
        url: Page of the repository, or of the branch.
        commit: Name of its newest commit.
        changed: Whether there was anything new.
        files: The files that are there now, from this folder.
        removed: Files of an earlier push that were removed, since they are gone from the folder.
        open_places: Places of the card that no one has written into yet.
    """

    url: str
    commit: str
    changed: bool
    files: tuple[HubFile, ...]
    removed: tuple[str, ...]
    open_places: tuple[str, ...]


def plan_push(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    message: str | None = None,
    exports: bool = True,
) -> Plan:
    """What `push` would do; asks no one and writes nothing.

    Args:
        folder: Model folder, `saved_models/<name>`.
        repo_id: ``ORG/NAME`` on the hub.
        private: Whether a new repository is private.
        revision: Branch to push to, made if there is none; by default the main one.
        message: Of the commit; names the model and its run by default.
        exports: Whether the exports go along that answer as the run does.

    Raises:
        ConfigError: A name is none that the hub takes.
        RunError: The folder holds no finished run, or is damaged, or has a link in the place of a file.
    """
    check_names(repo_id, revision, message)
    model = ModelFolder(Path(folder))
    files = hub_contents(model, repo_id, exports=exports)
    words = message or f"Push {model.name} (run {model.read_manifest().run_id})"
    return Plan(repo_id, revision, private, words, files, _open_places(files))


def push(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    message: str | None = None,
    exports: bool = True,
    progress: bool = False,
) -> Pushed:
    """Uploads a finished run to the hub, so that `from_pretrained(repo_id)` loads it.

    The repository is made if there is none. Everything comes in one commit, or not at all. What an earlier push left
    and is gone now, such as older exports, is removed in the same commit; files of others stay, and so does what was
    written into the places of the card on the hub, where the card here is still waiting for it. The token is that of
    `hf auth login`, or ``HF_TOKEN``; the hub is the one that ``HF_ENDPOINT`` names, if it is set.

    Texts that the model was trained or validated on, logs, checkpoints, the configuration and the environment are
    never uploaded; of an export, everything but its recorded answers is. The folder stays as it is, but for a card if
    it has none, to write into.

    Args:
        folder: Model folder, `saved_models/<name>`.
        repo_id: ``ORG/NAME`` on the hub.
        private: As for `plan_push`.
        revision: As for `plan_push`.
        message: As for `plan_push`.
        exports: As for `plan_push`.
        progress: Whether huggingface_hub draws bars on standard error.

    Raises:
        ConfigError: A name is none that the hub takes.
        RunError: The folder holds no finished run, or is damaged, or has a link in the place of a file.
        ServingError: There is no token, the hub refuses or cannot be reached, or the repository holds something else.
    """
    plan = plan_push(folder, repo_id, private=private, revision=revision, message=message, exports=exports)
    api = open_hub()
    with hub_errors(repo_id), quiet_client(progress=progress):
        pushed = _push(api, plan)
    if not ModelFolder(Path(folder)).card.exists():
        refresh_card(folder)
    return pushed


def _push(api: Any, plan: Plan) -> Pushed:
    repo_id, revision = plan.repo_id, plan.revision
    info = _found(api, repo_id)
    if info is None:
        api.create_repo(repo_id, private=plan.private or None, exist_ok=True)
    else:
        _check_kind(repo_id, info, private=plan.private)
    if revision is not None:
        api.create_branch(repo_id, branch=revision, exist_ok=True)
    before = api.model_info(repo_id, revision=revision)
    removed = _stale(before, plan.files)
    files = _with_their_card(api, plan, before)
    operations = _operations(files, removed)
    commit = api.create_commit(
        repo_id,
        operations=operations,
        commit_message=plan.message,
        revision=revision,
        parent_commit=before.sha,  # refused if someone has changed it since: their card was not read
    )
    return Pushed(
        url=f"{api.endpoint}/{repo_id}" + (f"/tree/{revision}" if revision else ""),
        commit=commit.oid,
        changed=commit.oid != before.sha,
        files=files,
        removed=removed,
        open_places=_open_places(files),
    )


def _found(api: Any, repo_id: str) -> Any:
    """What the hub knows of the repository; None if there is none that the token may see."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        return api.model_info(repo_id)
    except GatedRepoError:
        raise
    except RepositoryNotFoundError as error:
        if error.response is not None and error.response.status_code == 401:
            raise  # the token is wrong, which a new repository would not mend
        return None


def _check_kind(repo_id: str, info: Any, *, private: bool) -> None:
    """Refuses a repository that holds something else than a text classifier of transformers, or that is not private.

    Raises:
        ServingError: With what it holds.
    """
    names = {sibling.rfilename for sibling in info.siblings or ()}
    if ADAPTER in names:
        kind = "an adapter for another model"
    elif info.pipeline_tag not in (None, TASK):
        kind = f"a model for {info.pipeline_tag}"
    elif info.library_name not in (None, LIBRARY):
        kind = f"a model of {info.library_name}"
    else:
        if private and not info.private:
            raise ServingError(
                f"{repo_id} exists and is public; --private is for new repositories. Make it private in its settings "
                "on the hub and leave --private out, or give another name."
            )
        return
    raise ServingError(
        f"{repo_id} was not pushed: it holds {printable(kind):.120}, expected a text classifier of transformers or "
        "nothing. Give another name."
    )


def _stale(info: Any, files: Sequence[HubFile]) -> tuple[str, ...]:
    """What an earlier push left that this one does not have."""
    now = {file.path for file in files}
    there = (sibling.rfilename for sibling in info.siblings or ())
    return tuple(sorted(name for name in there if is_ours(name) and name not in now))


def _with_their_card(api: Any, plan: Plan, info: Any) -> tuple[HubFile, ...]:
    """The files with what people wrote into the card on the hub itself, which would be lost else.

    Raises:
        ServingError: It was written by hand, and the card here was not.
    """
    if CARD not in {sibling.rfilename for sibling in info.siblings or ()}:
        return plan.files
    try:
        text = join_cards(_card_text(plan.files), read_file(api, plan.repo_id, CARD, revision=plan.revision))
    except RunError as error:
        branch = f" --revision {plan.revision}" if plan.revision else ""
        raise ServingError(
            f"{plan.repo_id} was not pushed: {error}, and would be lost. To keep it, download it into the model "
            f"folder (hf download {plan.repo_id} {CARD}{branch} --local-dir FOLDER) and push again; else remove it "
            "there first."
        ) from error
    content = text.encode()
    card = HubFile(CARD, content, len(content))
    return tuple(card if file.path == CARD else file for file in plan.files)


def _card_text(files: Sequence[HubFile]) -> str:
    return next(file.content.decode() for file in files if file.path == CARD and isinstance(file.content, bytes))


def _open_places(files: Sequence[HubFile]) -> tuple[str, ...]:
    return open_places(_card_text(files))


def _operations(files: Sequence[HubFile], removed: Sequence[str]) -> list[Any]:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    additions = [CommitOperationAdd(file.path, file.content) for file in files]
    return [*additions, *(CommitOperationDelete(name, is_folder=False) for name in removed)]
