"""The hub, through huggingface_hub: who is asked, with which token, and what its errors mean."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from tf_finetune.errors import ConfigError, FinetuneError, ServingError
from tf_finetune.pages.words import printable

__all__ = ["check_names", "hub_errors", "open_hub", "quiet_client", "read_file"]

REVISION = re.compile(r"(?!.*(\.\.|//|/$|\.lock$))[A-Za-z0-9][\w./-]{0,99}", re.ASCII)

LOG_IN = "Log in with a token that may write (hf auth login), or set HF_TOKEN to one."

MEANINGS = {
    401: f"it does not accept the token. {LOG_IN}",
    402: "it wants a payment for this. Look at the plan and the storage of the account there.",
    403: "the token has no right to do this. It needs write access, and its owner a role in the organisation that may "
    f"write. {LOG_IN}",
    404: "there is no such repository or branch, or the token may not see it. Check the name.",
    409: "someone else has changed the repository at the same moment, or the name is taken. Try again.",
    412: "someone else has changed the repository at the same moment. Try again.",
    413: "a file is too large for it.",
    429: "it was asked too often. Try again later.",
}
"""Status of an answer to what it means here."""

LARGEST_TEXT = 1 << 20
"""Most bytes of a file that is read."""

TIMEOUT = 30.0
"""Seconds to wait for the next bytes of it."""

SHOWN = 300
"""Most characters of a message of the hub that are repeated."""


def check_names(repo_id: str, revision: str | None, message: str | None) -> None:
    """Refuses names that the hub would refuse, before it is asked.

    Raises:
        ConfigError: With what is expected.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo_id)
        is_valid = repo_id.count("/") == 1 and repo_id.isascii()
    except HFValidationError:
        is_valid = False
    if not is_valid:
        raise ConfigError(
            "The repository must be named ORG/NAME, where ORG is an organisation or user of the hub: letters, digits, "
            f"'-', '_' and '.', at most 96 characters. Received: {repo_id!r:.120}."
        )
    if revision is not None and not REVISION.fullmatch(revision):
        raise ConfigError(f"--revision takes the name of a branch, as v2 or my-branch. Received: {revision!r:.120}.")
    if message is not None and not message.strip():
        raise ConfigError("--message: expected some words. Received: nothing. Leave it out for the usual ones.")


def open_hub() -> Any:
    """A `huggingface_hub.HfApi` with the token of its login, or of HF_TOKEN.

    Raises:
        ServingError: There is no token, or the hub must not be asked.
    """
    import huggingface_hub
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise ServingError("Nothing can be pushed offline: HF_HUB_OFFLINE is set. Unset it, or look with --dry-run.")
    token = huggingface_hub.get_token()
    if not token:
        raise ServingError(f"There is no token for the hub. {LOG_IN}")
    return huggingface_hub.HfApi(token=token, library_name="tf_finetune")


def read_file(api: Any, repo_id: str, path: str, *, revision: str | None) -> str:
    """A small text file of a repository, without a cache.

    Args:
        api: Of `open_hub`.
        repo_id: The repository.
        path: The file.
        revision: Branch; None for the main one.

    Raises:
        ServingError: It is too large, or no UTF-8.
    """
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    url = f"{api.endpoint}/{repo_id}/resolve/{quote(revision or 'main', safe='')}/{path}"
    with get_session().get(url, headers=build_hf_headers(token=api.token), stream=True, timeout=TIMEOUT) as answer:
        hf_raise_for_status(answer)
        content = b""
        for chunk in answer.iter_content(1 << 16):
            content += chunk
            if len(content) > LARGEST_TEXT:
                raise ServingError(f"{repo_id} was not pushed: its {path} has more than {LARGEST_TEXT >> 20} MB.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ServingError(f"{repo_id} was not pushed: its {path} is no UTF-8.") from error


@contextlib.contextmanager
def hub_errors(repo_id: str) -> Iterator[None]:
    """Turns whatever huggingface_hub and the libraries below it raise into an error of ours.

    Args:
        repo_id: What the body is about.

    Raises:
        ServingError: The hub refuses, or cannot be reached.
    """
    try:
        yield
    except FinetuneError:
        raise
    except Exception as error:  # a dozen types of three libraries, some wrapped in others
        raise ServingError(f"{repo_id} was not pushed: {_meaning(error)}") from error


def _meaning(error: Exception) -> str:
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError
    from requests.exceptions import RequestException

    if isinstance(error, ValueError) and "README.md" in str(error):
        words = " ".join(str(error).split())[:SHOWN]
        return f"the hub does not take the metadata at the head of the model card. Mend it. It said: {printable(words)}"
    for one in _chain(error):
        if isinstance(one, HfHubHTTPError) and one.response is not None:
            status = one.response.status_code
            meaning = MEANINGS.get(status, "try again later." if status >= 500 else "")
            return f"the hub answered {status}{_said(one)}" + (f": {meaning}" if meaning else ".")
    if any(isinstance(one, (RequestException, ConnectionError)) for one in _chain(error)):
        *_, root = _chain(error)
        return (
            f"the hub at {constants.ENDPOINT} cannot be reached ({_first_line(root)}). Check the network, and "
            "HF_ENDPOINT if it is set."
        )
    return f"{type(error).__name__}: {_first_line(error)}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it was raised for."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _said(error: Any) -> str:
    """The hub's own words, in brackets, if there are any."""
    words = " ".join(str(error.server_message or "").split())[:SHOWN]
    return f" ({printable(words)})" if words else ""


def _first_line(error: BaseException) -> str:
    return printable((str(error).splitlines() or [type(error).__name__])[0][:SHOWN])


@contextlib.contextmanager
def quiet_client(*, progress: bool) -> Iterator[None]:
    """Keeps huggingface_hub from writing to standard error while the body runs, but for its bars if `progress`."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars, logging

    level, disables = logging.get_verbosity(), not progress and not are_progress_bars_disabled()
    logging.set_verbosity_error()
    if disables:
        disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if disables:
            enable_progress_bars()
