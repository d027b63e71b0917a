"""The machine, as files of an invented one tell of it."""

from __future__ import annotations

import errno
import os
import shlex
import tempfile

import pytest

from tf_finetune.doctor.diagnose import diagnose
from tf_finetune.doctor.folders import cache_path, check_folder, check_folders, hub_cache_path
from tf_finetune.doctor.installation import Installation
from tf_finetune.doctor.machine import check_cpu, check_gpus, check_memory, check_python, memory_limit
from tf_finetune.files import cache_folder

GB = 10**9


def write(root, path, text=""):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(("version", "bits"), [((3, 9, 18), 64), ((3, 14, 0), 64), ((3, 11, 2), 32)])
def test_a_python_that_tensorflow_is_not_made_for(version, bits):
    found = check_python(version, bits)
    assert found.status == "fail"
    assert "3.10 to 3.13, 64 bit" in found.message
    assert found.fix.startswith("python3.12 -m venv")


def test_this_python_is_one_of_them():
    assert check_python().status == "ok"
    assert check_python((3, 10, 0), 64).status == check_python((3, 13, 9), 64).status == "ok"


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        ("fpu sse4_2 avx avx2 fma avx512f avx512_bf16", "ok", "AVX2, FMA, AVX512F, AVX512_BF16"),
        ("fpu sse4_2 avx", "warn", "no AVX2 and FMA"),
        ("fpu sse4_2", "fail", "no AVX:"),
    ],
)
def test_instructions_of_the_processor(tmp_path, flags, status, words):
    write(tmp_path, "proc/cpuinfo", f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: none\n")
    found = check_cpu(tmp_path, "x86_64")
    assert found.status == status
    assert words in found.message


def test_processors_that_tell_nothing_are_no_fault(tmp_path):
    assert check_cpu(tmp_path, "x86_64").status == check_cpu(tmp_path, "arm64").status == "ok"


def test_gpus_that_tensorflow_does_not_see(tmp_path):
    installation = Installation((), {})
    assert "processor" in check_gpus(installation, 0, tmp_path).message
    write(tmp_path, "dev/nvidia0")
    write(tmp_path, "dev/nvidiactl")
    found = check_gpus(installation, 0, tmp_path)
    assert found.status == "warn"
    assert "has 1 NVIDIA" in found.message
    assert shlex.split(found.fix)[-1] == "tensorflow[and-cuda]>=2.21,<2.22"
    assert check_gpus(installation, 1, tmp_path).message == "TensorFlow sees 1"
    assert check_gpus(installation, None, tmp_path).status == "ok"
    assert "hidden" in check_gpus(Installation((), {"CUDA_VISIBLE_DEVICES": "-1"}), 0, tmp_path).message


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "2000000000\n"}, 2 * GB),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, None),
        (
            {
                "proc/self/cgroup": "3:cpu,cpuacct:/x\n2:memory:/x\n",
                "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "3000000000\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            3 * GB,
        ),
        ({}, None),
    ],
)
def test_memory_limits_of_control_groups(tmp_path, files, limit):
    for path, text in files.items():
        write(tmp_path, path, text)
    assert memory_limit(tmp_path) == limit


def test_little_memory(tmp_path):
    assert check_memory(tmp_path, 16 * GB).message == "16.0 GB"
    assert check_memory(tmp_path, 3 * GB).status == "warn"
    found = check_memory(tmp_path, GB // 2)
    assert found.status == "fail"
    assert found.fix.endswith("--dry-run")
    write(tmp_path, "proc/self/cgroup", "0::/\n")
    write(tmp_path, "sys/fs/cgroup/memory.max", str(GB // 2))
    assert "0.5 GB (the limit of the control group)" in check_memory(tmp_path, 16 * GB).message


def test_room_on_the_disk(tmp_path):
    look = [check_folder("cache folder", tmp_path / "a/b", "cd ~", room=room) for room in (GB // 4, GB, 50 * GB)]
    assert [found.status for found in look] == ["fail", "warn", "ok"]
    assert [found.fix for found in look] == ["cd ~", "cd ~", None]
    assert not (tmp_path / "a").exists()


def test_folders_that_cannot_be_written_to(tmp_path):
    write(tmp_path, "file")
    environment = {
        "TF_FINETUNE_CACHE": str(tmp_path / "file/cache"),
        "HF_HOME": str(tmp_path / "file"),
        "TMPDIR": str(tmp_path / "file"),
    }
    told = {found.name: found for found in check_folders(environment)}
    assert [found.status for found in told.values()] == ["ok", "fail", "warn", "fail"]
    assert "Not a directory" in told["cache folder"].message
    assert told["cache folder"].fix.startswith("export TF_FINETUNE_CACHE=")
    assert told["hub cache"].fix.startswith("export HF_HOME=")
    assert "export TMPDIR=" in told["temporary files"].fix


def test_without_any_folder_for_temporary_files_the_rest_is_left_out(monkeypatch):
    def fail():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", fail)
    told = {found.name: found for found in diagnose()}
    assert told["temporary files"].status == "fail" and "export TMPDIR=" in told["temporary files"].fix
    assert list(told)[-1] == "packages" and "Left out until there is a folder" in told["packages"].message


def test_a_folder_of_temporary_files_that_is_not_there(tmp_path):
    folder = tmp_path / "not there"
    found = list(check_folders({"TF_FINETUNE_CACHE": str(tmp_path), "TMPDIR": str(folder)}))[-1]
    assert (found.status, found.fix) == ("warn", f"mkdir -p '{folder}'")
    assert "which TMPDIR names, is not there" in found.message and not folder.exists()


@pytest.mark.parametrize("name", ["TF_FINETUNE_CACHE", "XDG_CACHE_HOME", None])
def test_the_cache_folder_is_the_one_that_is_used(tmp_path, monkeypatch, name):
    monkeypatch.delenv("TF_FINETUNE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    if name:
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    assert cache_path(os.environ) == cache_folder()


def test_the_hub_cache_is_that_of_huggingface_hub():
    from huggingface_hub import constants

    assert hub_cache_path(os.environ) == type(hub_cache_path({}))(constants.HF_HUB_CACHE)
    assert str(hub_cache_path({"HF_HUB_CACHE": "/models", "HF_HOME": "/else"})) == "/models"
