"""The machine: Python, processor, GPUs and memory."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from tf_finetune.doctor.finding import FAIL, OK, WARN, Finding
from tf_finetune.doctor.installation import Installation
from tf_finetune.doctor.packages import TENSORFLOW

__all__ = ["check_cpu", "check_gpus", "check_memory", "check_python", "memory_limit"]

OLDEST, NEWEST = (3, 10), (3, 13)
"""Versions of Python that TensorFlow 2.21 has packages for."""

X86 = ("x86_64", "AMD64", "i686")
NEEDED = ("avx",)
"""Instructions that TensorFlow's packages are compiled with: https://www.tensorflow.org/install/pip."""
FAST = ("avx2", "fma", "avx512f")
"""Instructions that its kernels choose when they run."""
BFLOAT16 = ("avx512_bf16", "amx_bf16")

GIGABYTE = 10**9
LEAST_MEMORY, LITTLE_MEMORY = 1 * GIGABYTE, 4 * GIGABYTE
"""TensorFlow and transformers alone take 0.6 GB; training all-MiniLM-L6-v2 with batches of 16 rows about 2 GB."""


def check_python(version: tuple[int, ...] = sys.version_info[:3], bits: int = sys.maxsize.bit_length() + 1) -> Finding:
    """Looks at Python's version and word size."""
    told = ".".join(map(str, version))
    if OLDEST <= version[:2] <= NEWEST and bits == 64:
        return Finding("python", OK, f"{told}, {bits} bit")
    expected = f"{'.'.join(map(str, OLDEST))} to {'.'.join(map(str, NEWEST))}, 64 bit"
    return Finding(
        "python",
        FAIL,
        f"This is Python {told}, {bits} bit; TensorFlow is made for {expected}.",
        "python3.12 -m venv .venv && . .venv/bin/activate",
    )


def check_cpu(root: Path = Path("/"), machine: str | None = None) -> Finding:
    """Looks for the processor's vector instructions, where the system tells of them.

    Args:
        root: Root of the file system.
        machine: The processor's kind, as `platform.machine`.
    """
    machine = machine or platform.machine()
    flags = _cpu_flags(root / "proc/cpuinfo") if machine in X86 else None
    if flags is None:
        return Finding("cpu", OK, f"{machine}; its instructions were not looked at")
    missing = [name for name in NEEDED if name not in flags]
    if missing:
        return Finding(
            "cpu",
            FAIL,
            f"The processor has no {', '.join(missing).upper()}: importing TensorFlow ends the process. In a virtual "
            "machine, pass the host's processor through (QEMU: -cpu host); else take another machine.",
        )
    slow = [name for name in FAST[:2] if name not in flags]
    if slow:
        return Finding(
            "cpu",
            WARN,
            f"The processor has no {' and '.join(map(str.upper, slow))}: training takes several times as long. In a "
            "virtual machine, pass the host's processor through (QEMU: -cpu host).",
        )
    found = [name for name in (*FAST, *BFLOAT16) if name in flags]
    return Finding("cpu", OK, f"{machine} with {', '.join(found).upper()}")


def check_gpus(installation: Installation, seen: int | None, root: Path = Path("/")) -> Finding:
    """Compares the GPUs that TensorFlow sees with those that the system has.

    Args:
        installation: The environment.
        seen: GPUs that TensorFlow sees; None if it could not be asked.
        root: Root of the file system.
    """
    present = len(list(root.glob("proc/driver/nvidia/gpus/*"))) or len(list(root.glob("dev/nvidia[0-9]*")))
    hidden = installation.environment.get("CUDA_VISIBLE_DEVICES")
    if seen:
        return Finding("gpu", OK, f"TensorFlow sees {seen}")
    if not present:
        return Finding("gpu", OK, "none; TensorFlow computes on the processor")
    if hidden is not None and hidden.strip() in ("", "-1"):
        return Finding("gpu", OK, f"{present}, hidden by CUDA_VISIBLE_DEVICES={hidden}")
    if seen is None:
        return Finding("gpu", OK, f"{present}; TensorFlow could not be asked")
    return Finding(
        "gpu",
        WARN,
        f"The system has {present} NVIDIA GPU(s), but TensorFlow sees none: its CUDA libraries are missing, or do not "
        "go with the driver.",
        installation.install(f"tensorflow[and-cuda]{TENSORFLOW.versions}"),
    )


def check_memory(root: Path = Path("/"), installed: int | None = None) -> Finding:
    """Looks at the memory that this process may use.

    Args:
        root: Root of the file system.
        installed: Bytes of the machine; asked of the system by default.
    """
    total = installed if installed is not None else _installed_memory()
    if total is None:
        return Finding("memory", OK, "the system does not tell how much there is")
    limit = memory_limit(root)
    usable = total if limit is None else min(total, limit)
    told = f"{usable / GIGABYTE:.1f} GB" + (" (the limit of the control group)" if usable < total else "")
    if usable >= LITTLE_MEMORY:
        return Finding("memory", OK, told)
    plan = "tf-finetune fit --batch-size 8 --max-length 128 --dry-run"
    if usable >= LEAST_MEMORY:
        return Finding("memory", WARN, f"{told}: little. A dry run tells what a training will take.", plan)
    return Finding("memory", FAIL, f"{told}; TensorFlow and transformers alone take 0.6 GB.", plan)


def memory_limit(root: Path = Path("/")) -> int | None:
    """The least memory limit of this process's control groups, in bytes; None if there is none.

    Args:
        root: Root of the file system.
    """
    limits = [_number(file) for file in _limit_files(root)]
    return min((limit for limit in limits if limit is not None), default=None)


def _limit_files(root: Path) -> Iterator[Path]:
    """Files of limits, of the process's group and of all groups that it is in: version 2 and version 1."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        controllers, _, group = line.partition(":")[2].partition(":")
        if controllers in ("", "memory"):
            top, name = ("sys/fs/cgroup", "memory.max")
            if controllers:
                top, name = ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            folder = Path(group.lstrip("/"))
            for part in (folder, *folder.parents):
                yield root / top / part / name


def _number(path: Path) -> int | None:
    """A limit in bytes; None for "max", and where there is none."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdigit() else None


def _installed_memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not told by this system
        return None


def _cpu_flags(path: Path) -> frozenset[str] | None:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    line = next((line for line in text.splitlines() if line.startswith("flags")), None)
    return None if line is None else frozenset(line.partition(":")[2].split())
