"""A process of a search with several workers: ``python -m tf_finetune.tuning.worker_process FOLDER LOCK COMMAND``.

Which part it takes says its environment (see `take_part`). It ends with 0 when there is nothing left to do, 75 when it
was stopped, `CHIEF_GONE` when the chief does not answer, and writes `fatal.json` and ends with 1 when no trial can be
trained. When the process that has started it is gone, it ends, too.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from tf_finetune.errors import FinetuneError, TrainingStopped
from tf_finetune.files import write_json
from tf_finetune.run import ModelFolder
from tf_finetune.training.stopping import TEMPORARY_FAILURE, StopRequest
from tf_finetune.tuning.folder import TuneFolder
from tf_finetune.tuning.search import Search
from tf_finetune.tuning.work import is_from_grpc, is_worker

__all__ = ["CHIEF_GONE", "main"]

CHIEF_GONE = 69
"""EX_UNAVAILABLE of sysexits.h."""


def main(path: str, lock: str, command: str) -> int:
    """Takes part in the search of a model folder.

    Returns:
        The exit code.
    """
    folder = TuneFolder(ModelFolder(Path(path)))
    threading.Thread(target=_stop_when_alone, daemon=True).start()
    stop = StopRequest()
    try:
        with stop.listening(), stop.waiting():
            from tf_finetune.tuning.take_part import take_part

            if not is_worker():  # all that it knows is in the ledger, and nothing would ask it to stop
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
            descriptor = int(lock) if int(lock) >= 0 else None
            take_part(folder, Search.read(folder), stop=stop, lock=descriptor, command=json.loads(command))
    except (KeyboardInterrupt, TrainingStopped) as stopped:
        return int(getattr(stopped, "exit_code", 130))
    except FinetuneError as error:
        write_json(folder.fatal, {"kind": type(error).__name__, "message": str(error)})
        return 1
    except Exception as error:
        if is_from_grpc(error):
            return CHIEF_GONE
        raise
    return 0


def _stop_when_alone() -> None:
    """Ends this process with the one that has started it; a trial then sees its own input end, saves and stops."""
    while os.read(0, 4096):
        pass
    os._exit(TEMPORARY_FAILURE)  # the main thread may be waiting for a chief that is gone


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main(*sys.argv[1:]))
