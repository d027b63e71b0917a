from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from tf_finetune.cli.main import main
from tf_finetune.cli.session import VERBOSE_VARIABLE


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VERBOSE_VARIABLE, "0")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Calls the command line in this process."""

    def run(*args: str) -> Outcome:
        code = main(args)
        return Outcome(code, *capsys.readouterr())

    return run


class Verb:
    """Stands for the function behind a command: keeps its arguments, then answers or raises."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.answer: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((args, kwargs))
        answer = self.answer(*args, **kwargs) if callable(self.answer) else self.answer
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Verb]:
    """Puts a `Verb` in the place of ``tf_finetune.<module>.<name>``, without loading the module."""

    def verb(path: str) -> Verb:
        *packages, module, name = path.split(".")
        fake = Verb()
        for i in range(1, len(packages) + 1):
            package = "tf_finetune." + ".".join(packages[:i])
            if package not in sys.modules:
                monkeypatch.setitem(sys.modules, package, ModuleType(package))
        full = ".".join(["tf_finetune", *packages, module])
        stand_in = sys.modules.get(full) if isinstance(getattr(sys.modules.get(full), "stands_in", 0), bool) else None
        if stand_in is None:
            stand_in = ModuleType(full)
            vars(stand_in)["stands_in"] = True
            monkeypatch.setitem(sys.modules, full, stand_in)
        setattr(stand_in, name, fake)
        return fake

    return verb
