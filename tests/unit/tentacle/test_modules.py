# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The doors: documentation and argument specification say the same, and main is glue."""

from __future__ import annotations

import importlib
import inspect

import pytest
import yaml
from ansible_collections.octofleet.octopus.plugins.module_utils._argspec import RESTART, TENTACLE, ArgumentSpec
from unit import documented

MODULES = ["octo_instance_info", "octo_service", "octo_trust"]


@pytest.mark.parametrize("name", MODULES)
def test_documentation_and_specification_agree(name: str) -> None:
    module = importlib.import_module(f"{documented.ROOT}.modules.{name}")
    said = {option: {key: value for key, value in page.items() if key != "description"} for option, page in documented.options(module).items()}
    assert said == module.SPEC.options
    for option, page in documented.options(module).items():
        assert page["description"], option


@pytest.mark.parametrize("name", MODULES)
def test_main_is_glue(name: str) -> None:
    module = importlib.import_module(f"{documented.ROOT}.modules.{name}")
    assert len(inspect.getsource(module.main).splitlines()) <= 40
    assert yaml.safe_load(module.EXAMPLES)
    assert yaml.safe_load(module.RETURN)["instances"]["contains"]


def test_specifications_are_put_together_with_their_constraints() -> None:
    one = ArgumentSpec({"a": {"type": "str"}}, required_if=[("a", "x", ["b"])], required_by={"a": ["b"]})
    constraints = {"required_if": [("a", "y", ["b"])], "required_by": {"b": ["a"]}, "mutually_exclusive": [("a", "b")]}
    two = ArgumentSpec({"a": {"type": "int"}, "b": {"type": "str"}}, **constraints)
    assert one.merged(two).to_kwargs() == {
        "argument_spec": {"a": {"type": "int"}, "b": {"type": "str"}},
        "required_if": [("a", "x", ["b"]), ("a", "y", ["b"])],
        "required_by": {"a": ["b"], "b": ["a"]},
        "mutually_exclusive": [("a", "b")],
    }
    assert one.options == {"a": {"type": "str"}}
    assert set(TENTACLE.merged(RESTART).options) == set(TENTACLE.options) | set(RESTART.options)
    with pytest.raises(TypeError):
        ArgumentSpec({}, required_iff=[])
