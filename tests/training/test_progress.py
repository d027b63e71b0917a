"""Progress on a terminal and elsewhere."""

import io

from tf_finetune.training import progress as module
from tf_finetune.training.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def epoch(progress, steps=3):
    progress.set_params({"steps": steps, "epochs": 2})
    progress.on_epoch_begin(0)
    for step in range(steps):
        progress.on_train_batch_end(step, {"loss": 0.5})
    progress.on_epoch_end(0, {"loss": 0.25, "val_loss": 0.3})


def test_a_terminal_gets_a_bar_with_rate_and_time_left():
    stream = Terminal()
    epoch(Progress(stream))
    assert "\r" in stream.getvalue() and "0/3" in stream.getvalue() and "step/s" in stream.getvalue()
    assert "epoch 1/2" in stream.getvalue().splitlines()[-1]


def test_elsewhere_a_long_epoch_gets_a_line_now_and_then(monkeypatch):
    monkeypatch.setattr(module, "LINE_EVERY_SECONDS", 0.0)
    stream = io.StringIO()
    epoch(Progress(stream))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("epoch 1/2 step 1/3  loss 0.5000") and lines[0].endswith("s left")
    assert "val_loss 0.3000" in lines[-1]
