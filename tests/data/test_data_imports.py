from __future__ import annotations

import subprocess
import sys

import tf_finetune.data


def test_importing_the_data_wing_loads_no_heavy_package() -> None:
    code = "import sys, tf_finetune.data; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "tf_finetune" in loaded
    assert not {"numpy", "pyarrow", "tensorflow", "tensorflow_datasets", "transformers"} & set(loaded)


def test_every_public_name_is_there_and_documented() -> None:
    assert tf_finetune.data.__all__ == sorted(tf_finetune.data.__all__)
    assert all(getattr(tf_finetune.data, name).__doc__ for name in tf_finetune.data.__all__)
