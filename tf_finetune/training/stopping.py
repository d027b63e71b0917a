"""`StopRequest`: a signal or a deadline asks a run to stop; it does so at the next place where nothing is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

__all__ = ["INTERRUPTED", "SIGNALS", "TEMPORARY_FAILURE", "StopRequest", "Terminated"]

INTERRUPTED = 130
"""Exit code after Ctrl-C, as of shells: 128 and the number of SIGINT."""

TEMPORARY_FAILURE = 75
"""Exit code EX_TEMPFAIL of sysexits.h: the same command goes on where this one stopped. Queues start it again."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM at a place where nothing has to be saved."""

    exit_code = TEMPORARY_FAILURE


class StopRequest:
    """Whether a run is asked to stop.

    Args:
        max_hours: Wall time after which it is, from now; None for never.

    Attributes:
        reason: Who asked, in words; empty while nobody has.
        exit_code: What the process ends with.
    """

    def __init__(self, max_hours: float | None = None) -> None:
        self.reason = ""
        self.exit_code = INTERRUPTED
        self._max_hours = max_hours
        self._deadline = None if max_hours is None else time.monotonic() + 3600 * max_hours
        self._waits = False
        self._taken: list[signal.Signals] = []

    @property
    def is_due(self) -> bool:
        """Whether the run should stop at the next place where it can."""
        if not self.reason and self._deadline is not None and time.monotonic() >= self._deadline:
            self.reason, self.exit_code = f"--max-hours {self._max_hours:g} are over", TEMPORARY_FAILURE
        return bool(self.reason)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Takes SIGINT and SIGTERM while the body runs; a second one ends the process at once.

        Outside of `waiting`, the first one raises KeyboardInterrupt, or `Terminated`. Signals that are ignored stay so,
        and those that something else than Python has taken. In another thread than the main one, which signals do not
        reach, nothing is done.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._taken = [number for number in SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        handlers = {number: signal.signal(number, self._take) for number in self._taken}
        threading.Thread(target=_leave_at_the_second, args=(reader,), daemon=True).start()
        try:
            yield
        finally:
            self._taken = []
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before)
            os.close(writer)

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Makes signals wait while the body runs, which looks at `is_due`.

        Takes them once more: where several workers train, TensorFlow has taken SIGTERM meanwhile.
        """
        for number in self._taken:
            signal.signal(number, self._take)
        self._waits = True
        try:
            yield
        finally:
            self._waits = False

    def _take(self, number: int, frame: FrameType | None) -> None:
        terminated = number == signal.SIGTERM
        self.reason = "SIGTERM" if terminated else "Ctrl-C"
        self.exit_code = TEMPORARY_FAILURE if terminated else INTERRUPTED
        if not self._waits:
            raise Terminated if terminated else KeyboardInterrupt


def _leave_at_the_second(reader: int) -> None:
    """Reads the numbers of signals as they come in, also while the main thread is inside of TensorFlow."""
    count = 0
    with os.fdopen(reader, "rb", buffering=0) as file:
        while number := file.read(1):
            count += number[0] in SIGNALS
            if count == 2:
                with contextlib.suppress(OSError):  # whoever read it may have left, too: `| tee` gets Ctrl-C as well
                    os.write(2, b"\nleft at once, nothing was saved\n")
                os._exit(128 + number[0])
