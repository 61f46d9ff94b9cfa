# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""A task on a Windows host: the same brain as in the module of that name, here on the controller, with the other hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import module_loader
from ansible_collections.octofleet.octopus.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import SYSTEM_CLOCK, Clock
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import instance, manage, visit
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Installation, installation_of
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.service import Hands
from ansible_collections.octofleet.octopus.plugins.modules import octo_instance_info, octo_service, octo_trust
from ansible_collections.octofleet.octopus.plugins.plugin_utils import _windows
from ansible_collections.octofleet.octopus.plugins.plugin_utils._windows import WINDOWS, Modules, WindowsHost

NEEDED = ("ansible.windows.win_powershell", "ansible.windows.win_command")

Params = Mapping[str, Any]


class Mode(NamedTuple):
    check: bool
    diff: bool


class Task(NamedTuple):
    """What a module is made of: its options, and what its ``main`` does with them."""

    spec: ArgumentSpec
    brain: Callable[[WindowsHost, Params, Mode], dict[str, Any]]


def act(action: ActionBase, task_vars: dict[str, Any], args: Mapping[str, Any]) -> dict[str, Any]:
    """The task of ``action`` on its host, which is a Windows one."""
    refuse_unsupported(action)
    return run(_Lent(action, task_vars), action._task.action.rpartition(".")[2], args, Mode(action._task.check_mode, action._task.diff))


def run(modules: Modules, name: str, args: Mapping[str, Any], mode: Mode, clock: Clock = SYSTEM_CLOCK) -> dict[str, Any]:
    """The result of the task ``name``, such as octo_trust, with the same options, keys and sentences as on POSIX."""
    task = TASKS[name]
    params = checked(task.spec, args)
    host = WindowsHost(modules, installation_of(params, WINDOWS).home, _units(params), clock)
    return task.brain(host, params, mode)


def _units(params: Params) -> list[str]:
    """Services that the first look would not find by itself."""
    if params.get("application") == "server":
        return [manage.node_unit(params, WINDOWS)]
    return [params["service"]] if params["service"] else []


def checked(spec: ArgumentSpec, args: Mapping[str, Any]) -> dict[str, Any]:
    """The options with the defaults of Windows. Paths are of the host, so the controller expands nothing in them."""
    options = {name: {**option, "type": "str"} if option.get("type") == "path" else option for name, option in spec.options.items()}
    for name, default in _DEFAULTS.items():
        options[name] = {**options[name], "default": default}
    result = ArgumentSpecValidator(options, **spec.constraints).validate(dict(args))
    errors = result.errors.errors
    if errors:
        unsupported = "Unsupported parameters: "
        raise OctoError(" ".join(f"{unsupported * isinstance(error, UnsupportedError)}{error.msg.rstrip('.')}." for error in errors))
    # DPAPI has taken the machine id's place, and that key is nobody's to read: nothing is judged by it.
    return {**result.validated_parameters, "machine_id_file": ""}


def refuse_unsupported(action: ActionBase) -> None:
    """What cannot work on a Windows host, said before anything is asked of it."""
    if action._task.async_val:
        raise OctoError(
            f"{action._task.action} makes several round trips to a Windows host, which async cannot hold together. Run it without `async`."
        )
    for name in NEEDED:
        if not module_loader.find_plugin_with_context(name, mod_type=".ps1").resolved:
            raise OctoError(
                f"{action._task.action} reaches Windows hosts through the collection ansible.windows, which is not installed on the controller. "
                "Install it (ansible-galaxy collection install ansible.windows), then run again."
            )


class _Lent:
    """What an action can do on its host, for the hand."""

    def __init__(self, action: ActionBase, task_vars: dict[str, Any]) -> None:
        self._action, self._task_vars = action, task_vars

    def module(self, name: str, args: Mapping[str, Any], environment: Mapping[str, str]) -> Mapping[str, Any]:
        task = self._action._task
        before = task.environment
        try:
            if environment:
                task.environment = [*(before or []), dict(environment)]
            result: dict[str, Any] = self._action._execute_module(module_name=name, module_args=dict(args), task_vars=self._task_vars)
        finally:
            task.environment = before
        return result

    def transfer(self, data: bytes) -> str:
        shell = self._action._connection._shell
        folder = shell.tmpdir or self._action._make_tmp_path()
        return str(self._action._transfer_data(shell.join_path(folder, f"{os.urandom(8).hex()}.tmp"), data))


def _hands(host: WindowsHost) -> Hands:
    return Hands(host, host.served_certificate, host.clock)


def _installation(host: WindowsHost, params: Params) -> Installation:
    installation = installation_of(params, WINDOWS)
    return installation._replace(executable=params["executable"] or [host.executable])


def _instance_info(host: WindowsHost, params: Params, _mode: Mode) -> dict[str, Any]:
    rows = instance.read_instances(host, params["instance"], _installation(host, params), host.clock)
    return {"changed": False, "instances": rows}


def _trust(host: WindowsHost, params: Params, mode: Mode) -> dict[str, Any]:
    rows = visit.trust_rows(_hands(host), visit.trust_task(params, mode.check), _installation(host, params))
    result = visit.result_of(rows, "The trust is not as it was asked for")
    return {**result, "diff": visit.diff_of(rows)} if mode.diff else result


def _service(host: WindowsHost, params: Params, mode: Mode) -> dict[str, Any]:
    rows = manage.service_rows(_hands(host), params, visit.limits_of(params, mode.check), WINDOWS)
    return visit.result_of(rows, f"The service is not {params['state']}")


TASKS = {
    "octo_instance_info": Task(octo_instance_info.SPEC, _instance_info),
    "octo_service": Task(octo_service.SPEC, _service),
    "octo_trust": Task(octo_trust.SPEC, _trust),
}

# An executable that is not given is looked up on the host.
_DEFAULTS: Mapping[str, Any] = {"machine_configuration_home": _windows.HOME, "executable": None}
