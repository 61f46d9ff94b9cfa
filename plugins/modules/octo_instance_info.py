#!/usr/bin/python
# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: octo_instance_info
short_description: Read the Tentacle instances of a host
version_added: 0.1.0
author:
  - the octofleet.octopus authors (@octofleet)
description:
  - Reads the instance index, each instance's configuration, its service and its log, and tells whom it trusts, whether the running process has
    taken that over, and whether it would survive a restart as what it is.
  - Reads files and the process table only. It starts no command of the vendor, since even those that only show something copy the private key
    into the caller's certificate store. The key is neither read out nor returned.
  - An instance that cannot be read is a row with a reason, and the others are read all the same.
options:
  instance:
    description:
      - Name of the instance, or V(*) for all instances of the host. Letter case is ignored as long as one instance is meant.
      - A name that the host does not have gives one row with the code V(INSTANCE_UNKNOWN).
    type: str
    default: "*"
extends_documentation_fragment:
  - octofleet.octopus.attributes
  - octofleet.octopus.attributes.actiongroup_tentacle
  - octofleet.octopus.tentacle
attributes:
  check_mode:
    support: full
    details: Reads only.
  diff_mode:
    support: N/A
    details: Changes nothing.
  platform:
    platforms: linux, windows
    support: full
    details: Windows hosts are reached through the collection C(ansible.windows), which must be installed on the controller; not with C(async).
seealso:
  - module: octofleet.octopus.octo_trust
  - module: octofleet.octopus.octo_service
"""

EXAMPLES = r"""
- name: Read all Tentacle instances of the host
  octofleet.octopus.octo_instance_info:
  register: tentacles

- name: Name those that would not survive a restart
  ansible.builtin.debug:
    msg: "{{ item.instance }}: {{ item.ready.reasons | map(attribute='sentence') | join(' ') }}"
  loop: "{{ tentacles.instances | rejectattr('ready.ok') }}"
  loop_control:
    label: "{{ item.instance }}"
"""

RETURN = r"""
instances:
  description: One row for each instance asked for, by name.
  returned: success
  type: list
  elements: dict
  contains:
    instance:
      description: Name of the instance. For a file of the index that cannot be read, the name of the file.
      type: str
      sample: Tentacle
    configuration:
      description: Path of the configuration file, symbolic links followed.
      type: str
      sample: /etc/octopus/Tentacle/Tentacle/tentacle-Tentacle.config
    ok:
      description: Whether the instance could be read. If not, RV(instances[].code) and RV(instances[].reason) say why.
      type: bool
    code:
      description:
        - Why it could not be read, else empty.
        - One of V(INSTANCE_UNKNOWN), V(INDEX_UNREADABLE), V(CONFIGURATION_MISSING), V(CONFIGURATION_UNREADABLE), V(TRUST_UNREADABLE),
          V(UNREADABLE).
      type: str
    reason:
      description: The same as a sentence.
      type: str
    thumbprint:
      description: Thumbprint of the Tentacle's own certificate as the configuration names it.
      type: str
    communication:
      description:
        - How its Servers and it find each other. V(listening), V(polling), V(websocket), V(kubernetes) or V(unknown); V(mixed) for more than
          one of them; V(none) when it trusts nobody.
      type: str
    listening:
      description: Where it listens.
      type: dict
      contains:
        enabled:
          description: Whether it is to listen.
          type: bool
        port:
          description: The TCP port.
          type: int
        ip:
          description: The one address that it listens on, V(null) for all.
          type: str
    trust:
      description: Its trust entries in the order of the configuration.
      type: list
      elements: dict
      contains:
        thumbprint:
          description: The thumbprint as it is spelled.
          type: str
        canonical:
          description: The same in upper case, V(null) for an entry that can never match because it is no thumbprint.
          type: str
        style:
          description: V(listening), V(polling), V(websocket), V(kubernetes) or V(unknown).
          type: str
        address:
          description: The Server's address, for an entry that has one.
          type: str
        subscription_id:
          description: The subscription, for an entry that polls.
          type: str
    service:
      description: The service that runs it, as the service manager and the process table tell it.
      type: dict
      contains:
        unit:
          description: Name of the unit.
          type: str
        known:
          description: Whether the service manager has a definition of it.
          type: bool
        active:
          description: Whether it is active.
          type: bool
        pid:
          description: Id of its process, V(0) for none.
          type: int
        started_at:
          description: Time of the process's start.
          type: str
        started_monotonic_us:
          description: The same in microseconds of the host's monotonic clock; on Windows since the year 1601.
          type: int
        user:
          description: The account that it runs as.
          type: str
        argv:
          description: What it starts.
          type: list
          elements: str
    restart_pending:
      description:
        - Whether the running process works with another trust than the configuration has. V(yes), V(no) or V(unknown).
        - V(probably) if the process named no pins in its log and the configuration is newer than it.
      type: str
    pins_in_process:
      description: The thumbprints that the running process named at its start, V(null) if its log does not have them.
      type: list
      elements: str
    polls:
      description: Each entry with which it polls a Server, in the order of the configuration. Empty for one that does not poll.
      type: list
      elements: dict
      contains:
        address:
          description: The Server's address.
          type: str
        subscription_id:
          description: The subscription.
          type: str
        thumbprint:
          description: The thumbprint that the Server must present. V(null) if it is spelled so that it never matches; case counts here.
          type: str
        seen:
          description:
            - What the log has of it since the start of the running process. What is not there was not seen, and may have happened all the same.
            - V(started) if the process said that it polls there and expects this thumbprint. V(armed) if it has refused a Server there that
              presented another one. V(identified) if it has met a Server there that presents it, and has refused none since.
            - V(null) if the log does not have the start of the process.
            - At log levels above C(Info) there is no V(started) and no V(identified), above C(Error) there is nothing.
          type: list
          elements: str
    ready:
      description: Whether it would survive a restart as what it is.
      type: dict
      contains:
        ok:
          description: Whether nothing speaks against a restart.
          type: bool
        reasons:
          description:
            - What speaks against it, each with a C(code) and a C(sentence).
            - Codes are V(IDENTITY_AT_RISK), V(BLANK_PIN), V(MACHINE_ID_CHANGED), V(SERVICE_UNKNOWN), V(SERVICE_STOPPED), V(EXECUTABLE_MISSING),
              V(HIDDEN_UPGRADE), V(STORE_OWNER), V(PORT_TAKEN), V(NOT_LISTENING), and those of RV(instances[].code).
          type: list
          elements: dict
    file:
      description:
        - The configuration as a file. Whoever can read it on Linux has the Tentacle's private key, and as the vendor installs it everybody can.
        - Its values are V(null) for an instance that could not be read.
      type: dict
      contains:
        mode:
          description: Its mode as an octal number, V(null) on Windows.
          type: str
          sample: "0644"
        modified_at:
          description: Time of its last change, ISO 8601 in UTC with microseconds.
          type: str
          sample: "2026-11-22T08:00:00.000000Z"
        readable_by_others:
          description: Whether everybody on the host can read it, by its mode and that of its folder. V(null) on Windows, where it is not judged.
          type: bool
    key_copies:
      description:
        - How many private keys are in the certificate store of the account that it runs as, the one in use included. The vendor's programs put
          a copy of each key there that they ever read, and remove none.
        - Keys that other instances of the host use do not count. V(null) where it was not read, which is always so on Windows.
      type: int
      sample: 1
    newer_than_process:
      description:
        - Whether the configuration was changed after the running process had started. The vendor's commands change it also when they have
          nothing to change, so RV(instances[].restart_pending) tells more.
        - V(null) if no process is known.
      type: bool
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.octofleet.octopus.plugins.module_utils import _argspec
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import SYSTEM_CLOCK, PosixHost
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import installation_of
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.instance import read_instances

SPEC = _argspec.ArgumentSpec({"instance": {"type": "str", "default": "*"}}).merged(_argspec.TENTACLE)


def main() -> None:
    module = AnsibleModule(supports_check_mode=True, **SPEC.to_kwargs())
    try:
        instances = read_instances(PosixHost(), module.params["instance"], installation_of(module.params), SYSTEM_CLOCK)
    except OctoError as error:
        module.fail_json(msg=error.message, **error.evidence)
    module.exit_json(changed=False, instances=instances)


if __name__ == "__main__":
    main()
