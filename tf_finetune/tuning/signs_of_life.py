"""Signs of life: each worker touches a file, and the chief takes the trials of those that have stopped to do so."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

from tf_finetune.tuning.folder import TuneFolder
from tf_finetune.tuning.oracles import SearchOracle

__all__ = ["beating", "guarding"]

logger = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
LOST_SECONDS = 90.0
"""A worker that has shown no life for so long is gone: its trial is given to another."""


@contextlib.contextmanager
def beating(folder: TuneFolder, name: str) -> Iterator[None]:
    """Shows every few seconds that this worker lives, while the body runs."""
    folder.workers.mkdir(parents=True, exist_ok=True)
    path = folder.workers / name
    try:
        with _every_beat(path.touch):
            yield
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def guarding(folder: TuneFolder, oracle: SearchOracle) -> Iterator[None]:
    """Takes the trials away from workers that have shown no life, by the clock of this machine, while the body runs."""
    seen: dict[str, tuple[float, float]] = {}  # name -> (when its file was written, when that was seen)

    def look() -> None:
        for name in list(oracle.tuner_ids):
            written, now = _written(folder, name), time.monotonic()
            if seen.get(name, (None, 0.0))[0] != written:
                seen[name] = (written, now)
            elif now - seen[name][1] > LOST_SECONDS:
                logger.warning("worker %s has shown no life for %d s: its trial is given back", name, LOST_SECONDS)
                oracle.release(name)

    with _every_beat(look):
        yield


@contextlib.contextmanager
def _every_beat(act: Callable[[], None]) -> Iterator[None]:
    """Calls `act` at once and then every few seconds, in a thread, while the body runs."""
    over = threading.Event()

    def repeat() -> None:
        act()
        while not over.wait(BEAT_SECONDS):
            act()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _written(folder: TuneFolder, name: str) -> float:
    try:
        return (folder.workers / name).stat().st_mtime
    except OSError:
        return 0.0
