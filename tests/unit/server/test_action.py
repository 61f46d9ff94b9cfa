# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the action refuses before it asks anybody anything: a permit that does not hold, and a way that cannot carry a secret."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import constants as C
from ansible_collections.octofleet.octopus.plugins.action import octo_certificate
from ansible_collections.octofleet.octopus.plugins.action.octo_certificate import ActionModule
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation import permit as permits
from ansible_collections.octofleet.octopus.plugins.plugin_utils import _keys

OLD, NEW, OTHER = "A" * 40, "B" * 40, "C" * 40
RUN = permits.RunIdentity(4711, "ansible-local-4711-abc")
HOST = {"inventory_hostname": "server-1"}


def action_of(become: str | None = None, **connection: Any) -> ActionModule:
    made = ActionModule.__new__(ActionModule)
    plugin = SimpleNamespace(name=become) if become else None
    shown = SimpleNamespace(no_log=False)
    made._connection = SimpleNamespace(become=plugin, transport="telnet", _play_context=shown, **connection)  # type: ignore[assignment]
    made._task = SimpleNamespace(action="octofleet.octopus.octo_certificate")  # type: ignore[assignment]
    return made


def permit(**changed: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "plan": "7f3a",
        "old": OLD,
        "new": NEW,
        "thumbprints": [NEW],
        "steps": ["switch"],
        "edges": {"server-1": ["server:OctopusServer"]},
        "run": RUN,
        "now": time.monotonic(),
        "away_at_most": 1,
        "max_age": 60.0,
    }
    return permits.issue(**{**given, **changed})


def demand(monkeypatch: pytest.MonkeyPatch, shown: Any, unguarded: bool = False) -> None:
    monkeypatch.setattr(octo_certificate, "this_run", lambda: RUN)
    params = {"permit": shown, "unguarded": unguarded, "instance": "OctopusServer"}
    action_of()._demand_permit(params, OLD, NEW, HOST)


def test_the_permit_of_the_gate_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    demand(monkeypatch, permit())


@pytest.mark.parametrize(
    "changed",
    [
        {"steps": ["expand"]},
        {"new": OTHER},
        {"old": OTHER},
        {"edges": {"server-1": ["server:Other"]}},
        {"edges": {"server-2": ["server:OctopusServer"]}},
        {"run": permits.RunIdentity(4712, "ansible-local-4712-abc")},
        {"now": -10_000.0},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_permit_for_anything_else_is_not(monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]) -> None:
    with pytest.raises(OctoError, match="Refused: switch on server-1"):
        demand(monkeypatch, permit(**changed))


def test_without_a_permit_the_word_must_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"hand": None, "application": "server", "state": "active", "permit": None, "unguarded": False, "instance": "OctopusServer"}
    asked |= {"thumbprint": NEW, "replaces": OLD, "backup_password": "secret"}
    octo_certificate._refuse({**asked, "unguarded": True}, check=False)
    octo_certificate._refuse(asked, check=True)
    with pytest.raises(OctoError, match=r"without a permit.*By hand.*unguarded: true"):
        octo_certificate._refuse(asked, check=False)
    with pytest.raises(OctoError, match="needs a permit"):
        demand(monkeypatch, {}, unguarded=True)


@pytest.mark.parametrize(
    ("become", "pipelining", "means"), [(None, False, "the connection telnet cannot"), ("su", True, "the become method su cannot")]
)
def test_a_way_without_standard_input_carries_no_secret(become: str | None, pipelining: bool, means: str) -> None:
    with pytest.raises(OctoError, match=means):
        action_of(become, has_pipelining=pipelining).call_with_secret("octofleet.octopus.octo_certificate", {}, dict(HOST))


def test_debugging_would_show_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(C, "DEFAULT_DEBUG", True)
    with pytest.raises(OctoError, match=r"ANSIBLE_DEBUG shows .* Nothing was done"):
        action_of(has_pipelining=True).call_with_secret("octofleet.octopus.octo_certificate", {}, dict(HOST))


def test_pipelining_is_forced_for_the_one_call_and_only_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    action = action_of("sudo", has_pipelining=True, is_pipelining_enabled=lambda _async: False, always_pipeline_modules=False)
    seen = []

    def execute(**_given: Any) -> dict[str, Any]:
        shown = not action._connection._play_context.no_log
        seen.append((action._is_pipelining_enabled("new"), action._is_pipelining_enabled("old"), shown))
        raise OctoError("the target is gone")

    monkeypatch.setattr(action, "_execute_module", execute)
    with pytest.raises(OctoError, match="gone"):
        action.call_with_secret("m", {}, dict(HOST))
    assert seen == [(True, False, False)]
    assert (action._secret_call, action._connection._play_context.no_log) == (False, False)


def test_a_broken_answer_of_a_call_with_keys_is_not_shown() -> None:
    broken = {"failed": True, "msg": "MODULE FAILURE", "rc": 1, "module_stdout": "half a PFX", "module_stderr": "its password"}

    def execute(_module: str, _args: Any, task_vars: Any) -> dict[str, Any]:  # core's signature
        return broken

    keys = _keys.remote_keys_of(SimpleNamespace(_execute_module=execute, call_with_secret=execute), {}, dict(HOST))  # type: ignore[arg-type]
    with pytest.raises(OctoError, match="MODULE FAILURE") as caught:
        keys.export()
    assert caught.value.evidence == {"rc": 1}
    with pytest.raises(OctoError) as caught:
        keys.entries()
    assert caught.value.evidence == {"rc": 1, "module_stderr": "its password"}


def test_a_windows_host_is_named() -> None:
    windows = SimpleNamespace(_connection=SimpleNamespace(module_implementation_preferences=(".ps1", ".exe", "")))
    with pytest.raises(OctoError, match="server-1 is a Windows host"):
        _keys.refuse_windows(windows, HOST)  # type: ignore[arg-type]
