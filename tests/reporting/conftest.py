"""Finished runs to report on: a sound one, and one of four classes with hostile names and texts."""

from __future__ import annotations

import random
import shutil

import pytest

from tests.conftest import BAD, GOOD, WORDS, write_csv

HOSTILE = {
    "<script>alert(1)</script>": "<img src=x onerror=alert(2)> ]]> </script> &amp; \u202e\x1b[31m",
    "\"quotes' & </svg>": '"it\'s" </table></details> <style>* {display: none}</style>',
    "\u05e2\u05d1\u05e8\u05d9\u05ea \u0639\u0631\u0628\u064a": "\u05e9\u05dc\u05d5\u05dd ",
    "a very long name of a class, $x^2$, {curly}, 100% " * 3: "http://example.com/x.png url(http://example.com) ",
}
"""Name of a class to what its texts begin with."""

CHARACTERS = 100_000


@pytest.fixture
def run_copy(tiny_run, tmp_path):
    """The tiny run in a folder of its own, without its export."""
    return shutil.copytree(tiny_run.run.path, tmp_path / "tiny", ignore=shutil.ignore_patterns("[0-9]*"))


@pytest.fixture(scope="session")
def hostile_run(tiny_checkpoint, tmp_path_factory):
    """Model folder of a calibrated run of four classes with an operating point; it is often wrong."""
    from tf_finetune.config import Config, DataConfig, ExportConfig, FitConfig, ModelConfig, RunConfig, TokensConfig
    from tf_finetune.training.fit import fit

    chance, rows = random.Random(4), []
    for i in range(100):
        label, start = list(HOSTILE.items())[i % 4]
        words = chance.choices([*WORDS[:30], *GOOD, *BAD], k=6)
        rows.append((f"{start} {' '.join(words)} {i}", label))
    rows.append(("x" * CHARACTERS, next(iter(HOSTILE))))
    rows += [(f"{'good bad ' * (CHARACTERS // 9)}{i}", label) for i, label in enumerate(list(HOSTILE)[:2])]
    folder = tmp_path_factory.mktemp("hostile")
    data = write_csv(folder / "rows.csv", rows)
    return fit(
        Config(
            data=DataConfig(data=(str(data),), validation_split=0.4),
            tokens=TokensConfig(max_length=16, cache_dir=str(folder / "tables")),
            model=ModelConfig(model=str(tiny_checkpoint)),
            fit=FitConfig(epochs=1, batch_size=16, learning_rate=3e-3, calibrate=True, threshold_for="coverage=0.5"),
            export=ExportConfig(export=False),
            run=RunConfig(output=str(folder / "<b>model & co")),
        )
    ).run.path
