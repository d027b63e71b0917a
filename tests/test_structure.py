"""The house keeps its shape: imports go down, the surface is what it says, nothing heavy is loaded on the way in."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import tf_finetune

PACKAGE = Path(tf_finetune.__file__).parent
FLOORS = [
    {"errors"},
    {"config", "files"},
    {"run", "backend", "pages"},
    {"data"},
    {"tokens"},
    {"model"},
    {"audit"},
    {"serving"},
    {"evaluation"},
    {"explain"},
    {"sharing"},
    {"training"},
    {"noise"},
    {"tuning", "reporting"},
    {"doctor"},
    {"cli"},
    {"__init__", "__main__"},
]
FLOOR = {wing: number for number, wings in enumerate(FLOORS) for wing in wings}
MODULES = sorted(PACKAGE.rglob("*.py"))


def wing_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_wings(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "tf_finetune":
            parts = node.module.split(".")[1:]
            yield from (parts[:1] or [alias.name for alias in node.names if alias.name in FLOOR])
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("tf_finetune."))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_lower_floors(path):
    here = wing_of(path)
    above = {there for there in imported_wings(path) if there != here and FLOOR[there] >= FLOOR[here]}
    assert not above


def test_the_floors_name_every_wing():
    assert {wing_of(path) for path in MODULES} == set(FLOOR)


def test_every_public_name_resolves_and_is_declared_for_type_checkers():
    for name in tf_finetune.__all__:
        assert getattr(tf_finetune, name) is not None
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    assert sorted(alias.name for node in block.body for alias in node.names) == list(tf_finetune.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = tf_finetune.no_such_name


def test_every_public_name_is_documented():
    for name in tf_finetune.__all__:
        assert (getattr(tf_finetune, name).__doc__ or "").strip(), name


def test_every_dunder_all_is_true():
    for path in MODULES:
        name = ".".join(["tf_finetune", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
        if name.endswith("__main__"):
            continue
        module = importlib.import_module(name)
        missing = [public for public in getattr(module, "__all__", []) if not hasattr(module, public)]
        assert not missing, name


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, tf_finetune, tf_finetune.data, tf_finetune.config; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"tensorflow", "transformers", "numpy", "pyarrow", "sklearn", "yaml"} & set(loaded)


def test_every_exception_is_in_the_drawn_tree():
    from tf_finetune import errors

    for name in errors.__all__:
        assert name in errors.__doc__
        assert issubclass(getattr(errors, name), errors.FinetuneError)


def test_nothing_in_the_package_unpickles_or_trusts_code():
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        assert "import pickle" not in text, path
        assert "trust_remote_code=True" not in text, path
        assert "load_model(" not in text or "keras.models.load_model" not in text, path


def test_every_option_is_read_somewhere():
    """An option that nothing reads would be ignored without a word."""
    from tf_finetune.config.catalog import OPTIONS

    read = set()
    for path in MODULES:
        if wing_of(path) not in ("config", "cli"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            read |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {option.path.split(".")[1] for option in OPTIONS.values()} <= read
