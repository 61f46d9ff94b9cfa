# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the installed modules of ansible.windows, as their own texts have them, and what does not agree with them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from lab.windows import modules
from lab.windows.refusal import Refused
from lab.windows.specs import conform, spec_of, supports_check_mode


def text_of(name: str) -> str:
    found = importlib.util.find_spec("ansible_collections.ansible.windows.plugins.modules")
    assert found is not None, "ansible.windows is not installed: make venv"
    assert found.origin is not None
    return Path(found.origin).with_name(f"{name}.ps1").read_text(encoding="utf-8-sig")


@pytest.mark.parametrize("name", modules.ANSWERED)
def test_every_module_that_the_lab_answers_for_has_its_options_read(name: str) -> None:
    options = spec_of(text_of(name))["options"]
    assert options
    assert {option["type"] for option in options.values()} <= {"str", "path", "bool", "int", "list", "dict", "$uint32Type"}


def test_defaults_aliases_choices_and_lists() -> None:
    params = conform("win_find", text_of("win_find"), {"paths": ["C:\\x"], "regex": ["a"], "_ansible_verbosity": 3})
    assert (params["patterns"], params["file_type"], params["get_checksum"], params["depth"]) == (["a"], "file", True, None)
    assert conform("slurp", text_of("slurp"), {"path": "C:\\x"}) == {"src": "C:\\x"}
    actions = [{"type": "restart", "delay": 5}]
    assert conform("win_service", text_of("win_service"), {"name": "x", "failure_actions": actions})["failure_actions"] == [
        {"delay_ms": 5, "type": "restart"}
    ]


def test_check_mode_is_the_modules_own_matter() -> None:
    assert {name: supports_check_mode(text_of(name)) for name in ("win_command", "win_powershell", "slurp")} == {
        "win_command": False,
        "win_powershell": True,
        "slurp": True,
    }


@pytest.mark.parametrize(
    ("name", "args", "sentence"),
    [
        ("win_command", {"argv": ["x"], "timeout": 5}, r"win_command has no option timeout; it has _raw_params, argv, chdir"),
        ("win_command", {"argv": "x"}, r"win_command: argv is to be of the type list, and 'x' is not"),
        ("win_command", {"argv": [1]}, r"win_command: argv\[0\] is to be of the type str, and 1 is not"),
        ("win_command", {}, r"win_command needs one of _raw_params, argv, cmd"),
        ("win_command", {"argv": ["x"], "cmd": "x"}, r"win_command takes only one of _raw_params, argv, cmd"),
        ("win_powershell", {"script": "x", "depth": "8"}, r"win_powershell: depth is to be of the type int, and '8' is not"),
        ("win_powershell", {"script": "x", "depth": True}, r"depth is to be of the type int, and True is not"),
        ("win_powershell", {"script": "x", "parameters": ["x"]}, r"parameters is to be of the type dict"),
        ("win_powershell", {"script": "x", "error_action": "Stop"}, r"error_action is to be one of silently_continue, continue, stop, not 'Stop'"),
        (
            "win_powershell",
            {"script": "x", "sensitive_parameters": [{"name": "x", "secret": "y"}]},
            r"sensitive_parameters\[0\] has no option secret",
        ),
        ("win_powershell", {"script": "x", "sensitive_parameters": [{"name": "x", "username": "y"}]}, r"takes username, password together only"),
        ("slurp", {}, r"slurp needs src"),
        ("slurp", {"src": "C:\\x", "encoding": "utf-8"}, r"slurp has no option encoding"),
        ("win_service", {"name": "x", "password": "y"}, r"win_service: password needs username"),
        ("win_stat", {"path": "C:\\x", "get_checksum": "no"}, r"get_checksum is to be of the type bool, and 'no' is not"),
    ],
)
def test_what_does_not_agree_is_refused(name: str, args: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        conform(name, text_of(name), args)


@pytest.mark.parametrize(
    "text",
    ["# nothing", "$spec = @{ options = @{ a = @{ type = 'str' }", "$spec = @{ options = @{ a = } }", "$spec = @{ options }", "$spec = @{ a = & b }"],
    ids=["none", "cut", "no-value", "no-key", "code"],
)
def test_a_specification_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="specification"):
        spec_of(text)
