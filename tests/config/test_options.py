from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from tf_finetune.config import Config
from tf_finetune.config.catalog import OPTIONS, SECTIONS
from tf_finetune.config.check import coerce
from tf_finetune.config.option import options_of


def test_keys_are_unique_across_sections() -> None:
    keys = [key for table in SECTIONS.values() for key in table]
    assert sorted(keys) == sorted(set(keys))


def test_no_flag_is_the_negation_of_another() -> None:
    flags = [flag for option in OPTIONS.values() for flag in option.declaration.split("/")]
    assert sorted(flags) == sorted(set(flags))


def test_sections_are_called_as_the_fields_of_the_configuration() -> None:
    named = {name: {option.section for option in table.values()} for name, table in SECTIONS.items()}
    assert named == {item.name: {item.name} for item in dataclasses.fields(Config)}


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.path)
def test_every_option_is_whole(option) -> None:
    assert coerce(option, option.default) == option.default
    assert option.help.endswith((".", "'."))
    assert "\n" not in option.help


def test_only_known_kinds_of_field_make_options() -> None:
    @dataclasses.dataclass
    class OddConfig:
        rates: list[float] = dataclasses.field(default_factory=list)

    OddConfig.__annotations__["rates"] = list[float]
    with pytest.raises(TypeError, match=r"An option is one of bool, int, .* Received: list\[float\]"):
        options_of(OddConfig)


def test_importing_the_configuration_loads_little() -> None:
    heavy = "{'numpy', 'pyarrow', 'tensorflow', 'transformers', 'sklearn', 'yaml', 'click'}"
    code = f"import sys, tf_finetune.config; print(sorted(sys.modules.keys() & {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
