# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hand an action takes, what it refuses on a Windows host before it asks anything of it, and what it lends to the hand."""

from __future__ import annotations

import ntpath
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.action import octo_instance_info, octo_service, octo_trust
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.plugin_utils import _windows_task
from ansible_collections.octofleet.octopus.plugins.plugin_utils._action import OctoAction
from unit.tentacle.doubles import NEW, OLD
from unit.windows.machine import Windows

ACTIONS = {"octo_instance_info": octo_instance_info, "octo_service": octo_service, "octo_trust": octo_trust}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "octo_instance_info": {},
    "octo_service": {"instance": "*", "state": "restarted_if_stale"},
    "octo_trust": {"instance": "*", "thumbprints": [NEW]},
}
HOST = {"inventory_hostname": "web-01"}


class Shell:
    tmpdir = "C:\\Users\\ansible\\AppData\\Local\\Temp\\ansible-tmp"

    def join_path(self, *parts: str) -> str:
        return ntpath.join(*parts)


def action_of(name: str, machine: Windows | None, preferences: tuple[str, ...] = (".ps1", ".exe", ""), **task: Any) -> OctoAction:
    action = ACTIONS[name].ActionModule.__new__(ACTIONS[name].ActionModule)
    given = {"args": ARGUMENTS[name], "check_mode": False, "diff": False, "async_val": 0, "environment": [{"A": "B"}], **task}
    action._task = SimpleNamespace(action=f"octofleet.octopus.{name}", **given)
    action._connection = SimpleNamespace(module_implementation_preferences=preferences, _shell=Shell())

    def execute(module_name: str, module_args: Mapping[str, Any], task_vars: Any, wrap_async: Any = None) -> Mapping[str, Any]:
        if machine is None:
            return {"ran": module_name}
        return machine.module(module_name, module_args, action._task.environment[-1])

    action._execute_module = execute  # type: ignore[method-assign, assignment]
    return action  # type: ignore[no-any-return]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_windows_task, "NEEDED", ())


@pytest.mark.parametrize("name", ACTIONS)
def test_the_module_runs_on_posix(name: str) -> None:
    assert action_of(name, None, ("",)).act(dict(HOST)) == {"ran": f"octofleet.octopus.{name}"}


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ACTIONS)
def test_the_brain_runs_here_for_windows(name: str) -> None:
    machine = Windows()
    machine.add("Tentacle", OLD)
    result = action_of(name, machine).act(dict(HOST))
    assert [row["ok"] for row in result["instances"]] == [True]
    assert machine.calls
    assert {environment.get("A") for _module, _args, environment in machine.given} == {"B"}


@pytest.mark.usefixtures("installed")
def test_check_and_diff_come_from_the_task() -> None:
    machine = Windows()
    tentacle = machine.add("Tentacle", OLD)
    result = action_of("octo_trust", machine, check_mode=True, diff=True).act(dict(HOST))
    assert result["diff"][0]["after"].count("\n") == 2
    assert tentacle.pins() == [OLD]


@pytest.mark.usefixtures("installed")
def test_a_variable_is_lent_for_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Windows()
    action = action_of("octo_trust", machine)
    lent = _windows_task._Lent(action, dict(HOST))
    lent.module("ansible.windows.win_command", {"argv": ["x"]}, {"HOME": "E:\\"})
    assert machine.given[-1][2] == {"HOME": "E:\\"}
    assert action._task.environment == [{"A": "B"}]
    sent: list[tuple[str, bytes]] = []
    monkeypatch.setattr(action, "_transfer_data", lambda path, data: sent.append((path, data)) or path)
    assert ntpath.dirname(lent.transfer(b"private")) == Shell.tmpdir
    assert sent[0][1] == b"private"


def test_async_is_refused() -> None:
    with pytest.raises(OctoError, match="octo_trust makes several round trips to a Windows host"):
        action_of("octo_trust", Windows(), async_val=60).act(dict(HOST))


def test_a_missing_collection_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_windows_task, "NEEDED", ("octofleet.octopus.no_such_module",))
    with pytest.raises(OctoError, match=r"the collection ansible\.windows, which is not installed on the controller"):
        action_of("octo_instance_info", Windows()).act(dict(HOST))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"instance": "*", "thumbprints": [NEW], "state": "gone"}, "value of state must be one of: present, absent, exact, got: gone."),
        ({"instance": "*", "thumbprints": [NEW], "speed": 1}, "Unsupported parameters: speed."),
        ({"thumbprints": [NEW]}, "missing required arguments: instance."),
    ],
    ids=["choice", "unknown", "missing"],
)
def test_options_are_checked_as_the_module_checks_them(args: dict[str, Any], sentence: str) -> None:
    machine = Windows()
    with pytest.raises(OctoError) as refusal:
        action_of("octo_trust", machine, args=args).act(dict(HOST))
    assert sentence in refusal.value.message
    assert machine.given == []


def test_options_have_the_defaults_of_windows_and_paths_stay_as_they_are() -> None:
    spec = _windows_task.TASKS["octo_trust"].spec
    params = _windows_task.checked(spec, {"instance": "*", "thumbprints": NEW, "backup_folder": "C:\\$x\\~", "restart": "no"})
    assert params["machine_configuration_home"] == "C:\\ProgramData\\Octopus"
    assert (params["machine_id_file"], params["executable"]) == ("", None)
    assert params["backup_folder"] == "C:\\$x\\~"
    assert params["thumbprints"] == [NEW]
    assert params["restart"] is False
    assert spec.options["machine_configuration_home"]["default"] == "/etc/octopus"  # the module's own are untouched
