# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Where a probe is made from, and which way it takes (decisions 24): one callable, whoever makes the connections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import address_of
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import carriage, probe
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.call import Caller
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import Endpoint, Proxy
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.options import CONTROLLER
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.client import OctopusClient
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.records import MachineRecord, ProxyRecord, Space
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from ansible_collections.octofleet.octopus.plugins.plugin_utils._secret_call import SecretCalls

MODULE = "octofleet.octopus.octo_probe"
# What core looks up in a task's variables when it runs a module; options of the connection are taken from the host itself.
_OF_THE_MODULE = ("inventory_hostname", "ansible_python_interpreter", "ansible_interpreter_python_fallback", "ansible_playbook_python")


class Sweep(Protocol):
    """Every caller at every endpoint, as :func:`probe.sweep` does it."""

    def __call__(self, endpoints: Sequence[Endpoint], callers: Sequence[Caller] = (), limits: probe.Limits | None = None) -> list[probe.Sight]:
        """One sight for each pair, endpoint by endpoint."""


def sweep_from(action: ActionBase, vantage: str, task_vars: Mapping[str, Any]) -> Sweep:
    """A sweep from ``vantage``, the controller or an inventory host. Nothing is connected to before it is made."""
    if vantage == CONTROLLER:
        return probe.sweep
    if vantage not in task_vars["hostvars"]:
        raise OctoError(f"The probe is to be made from {vantage}, which is no host of the inventory. Name one, or {CONTROLLER}.")

    def sweep(endpoints: Sequence[Endpoint], callers: Sequence[Caller] = (), limits: probe.Limits | None = None) -> list[probe.Sight]:
        callers = list(callers) or [probe.onlooker()]
        question = carriage.question(endpoints, callers, limits or probe.Limits())
        answer = _ask(action, vantage, task_vars, question, carriage.is_secret(endpoints, callers)) if endpoints else "[]"
        return carriage.sights(answer, endpoints, callers)

    return sweep


def _ask(action: ActionBase, vantage: str, task_vars: Mapping[str, Any], question: str, secret: bool) -> str:
    variables = task_vars["hostvars"][vantage]
    args = {"endpoints": [], "hand": question}
    try:
        there = _connected(action, variables)
        own = _variables_of_the_module(variables)
        found = there.call_with_secret(MODULE, args, own) if secret else there._execute_module(module_name=MODULE, module_args=args, task_vars=own)
        there._remove_tmp_path(there._connection._shell.tmpdir)  # type: ignore[no-untyped-call]
        there._connection.close()
    except AnsibleError as error:
        raise OctoError(f"The probe is to be made from {vantage}, which cannot be used for it: {error}") from None
    if found.get("failed") or "sights" not in found:
        said = found.get("msg") or f"its Python ended with code {found.get('rc')} and without an answer"
        shown = {"module_stderr": found["module_stderr"]} if found.get("module_stderr") and not secret else {}  # which may hold a key
        raise OctoError(f"The probe from {vantage} failed: {said}", **shown)
    return str(found["sights"])


def _connected(action: ActionBase, variables: Mapping[str, Any]) -> SecretCalls:
    """octo_probe's action with a connection to the host of ``variables``, as its login user: whoever may connect may probe."""
    task: Any = action._task.copy()
    task.action, task.args, task.delegate_to, task.become, task.async_val = MODULE, {}, None, False, 0
    loaders: Any = action._shared_loader_obj
    context = _context(action, task, variables)
    connection = loaders.connection_loader.get(context.connection, context, None)
    if connection is None:
        raise OctoError(f"The connection {context.connection} of {variables['inventory_hostname']} is not installed.")
    keys = {name: value for name, value in task.dump_attrs().items() if name not in ("timeout", "retries")}
    if context.password:
        keys["password"] = context.password
    for kind, plugin in (("connection", connection), ("shell", connection._shell)):
        named = C.config.get_plugin_vars(kind, plugin._load_name)
        plugin.set_options(task_keys=keys, var_options={name: variables[name] for name in named if name in variables})
    connection.set_become_plugin(None)
    if ".ps1" in connection.module_implementation_preferences:
        raise OctoError(f"{variables['inventory_hostname']} is a Windows host. A probe can be made from a host with Python only.")
    found: SecretCalls = loaders.action_loader.get(
        MODULE,
        task=task,
        connection=connection,
        play_context=context,
        loader=action._loader,
        templar=action._templar,
        shared_loader_obj=loaders,
    )
    return found


def _context(action: ActionBase, task: Any, variables: Mapping[str, Any]) -> Any:
    """What older connection plugins look at beside their options, with nothing in it of the host that the task is for."""
    bare: Any = action._play_context.copy()
    bare.port = bare.private_key_file = bare.connection_user = None
    bare.remote_user = task.remote_user
    bare.remote_addr = variables["inventory_hostname"]
    context = bare.set_task_and_variable_override(task, variables, action._templar)
    context.become = False
    named = variables.get("ansible_connection", task.connection)
    context.connection = "ssh" if named in (None, "smart") else named
    return context


def _variables_of_the_module(variables: Mapping[str, Any]) -> dict[str, Any]:
    facts = dict(variables["ansible_facts"]) if "ansible_facts" in variables else {}
    return {**{name: variables[name] for name in _OF_THE_MODULE if name in variables}, "ansible_facts": facts}


def ways(
    client: OctopusClient, spaces: Iterable[Space], machines: Sequence[MachineRecord], secrets: Mapping[str, Mapping[str, Any]]
) -> dict[str, Proxy]:
    """By endpoint, the proxy through which the Server reaches a listening Tentacle; asked for in spaces whose records name one.

    ``secrets``: user and password of proxies by their name or id, since nobody can read them (octopus_proxies). Of two ways to
    one address the last is taken: if two Tentacles are there, the formula finds that one of them is not itself.
    """
    behind = [machine for machine in machines if machine.proxy_id and machine.address and machine.port and machine.has_tentacle]
    known = {proxy.id: proxy for space in spaces if any(one.space_id == space.id for one in behind) for proxy in client.proxies(space)}
    found: dict[str, Proxy] = {}
    for machine in behind:
        proxy = known.get(machine.proxy_id or "")
        if proxy is None:
            raise OctoError(
                f"The record {machine.name} in space {machine.space} goes through the proxy {machine.proxy_id}, which the API key does not see."
                " Give its user a role with the permission ProxyView there."
            )
        found[address_of(str(machine.address), int(machine.port or 0))] = _proxy(proxy, secrets)
    return found


def _proxy(record: ProxyRecord, secrets: Mapping[str, Mapping[str, Any]]) -> Proxy:
    given = secrets.get(record.name) or secrets.get(record.id) or {}
    if not isinstance(given, Mapping) or set(given) - {"username", "password"}:
        raise OctoError(f"octopus_proxies: what is given for {record.name} is no dictionary of username and password.")
    known = given.get("password", None if record.has_password else "")  # the Server says an empty one where it has none
    password = None if known is None else Secret(str(known))
    return Proxy(record.host, record.port, str(given.get("username") or record.username), password)
