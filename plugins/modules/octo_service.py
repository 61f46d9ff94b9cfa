#!/usr/bin/python
# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: octo_service
short_description: Start, stop or restart a Tentacle or a node of an Octopus Server
version_added: 0.1.0
author:
  - the octofleet.octopus authors (@octofleet)
description:
  - Brings the service of a Tentacle, or of a node of an Octopus Server, to a state, and believes what the service manager, the process and the
    wire show, never an exit code.
  - Started and restarted mean that a process, after a restart a new one, serves TLS with the expected certificate. Stopped means that no process
    is left.
  - A Tentacle that would not survive a restart as what it is, is refused and left as it is.
options:
  application:
    description: What it is that runs as a service on the host.
    type: str
    choices: [tentacle, server]
    default: tentacle
  state:
    description:
      - With V(started) the service runs. A Tentacle that runs already is looked at, and left as it is.
      - With V(stopped) no process of it is left.
      - With V(restarted) it is restarted. A Tentacle that is stopped is refused; a node of a Server is started.
      - With V(restarted_if_stale) it is restarted if the process works with another trust than the configuration has, or presents another certificate
        than it should.
    type: str
    choices: [started, stopped, restarted, restarted_if_stale]
    required: true
  instance:
    description:
      - Name of the Tentacle instance, or V(*) for all instances of the host. Required with O(application=tentacle).
      - With O(application=server) the name of the Server's instance on the node, V(OctopusServer) unless it is set; it is only used for the name of
        the service, where O(service) does not give it.
    type: str
  endpoint:
    description:
      - Where the node takes polling Tentacles, as C(host:port), seen from the node itself. Only with O(application=server).
      - Without it the process is all that is looked at.
    type: str
  thumbprint:
    description:
      - Thumbprint of the certificate that O(endpoint) is to present. Only with O(application=server); a Tentacle's configuration tells its own.
    type: str
  restart_command:
    description:
      - Program and arguments that restart the service, for hosts whose service manager is not systemd, for example C([docker, restart, octopus]).
      - Without it C(systemctl restart) of the unit, C(systemctl) being found in E(PATH); on Windows an order to the service control manager.
    type: list
    elements: str
    aliases: [restart]
  service:
    description:
      - Unit of the service. With O(application=server) it need not exist if O(restart_command) is given.
      - Unless it is set, the name that the vendor gives it, which is the name of the instance with hyphens for spaces.
      - >-
        On Windows the name of the service. The vendor's are C(OctopusDeploy Tentacle) for the Tentacle instance V(Tentacle),
        C(OctopusDeploy Tentacle: <instance>) for others, C(OctopusDeploy) for a Server's instance V(OctopusServer), and
        C(OctopusDeploy: <instance>) for others.
      - C({instance}) in it stands for that name, for hosts with several instances.
    type: str
extends_documentation_fragment:
  - octofleet.octopus.attributes
  - octofleet.octopus.attributes.actiongroup_tentacle
  - octofleet.octopus.tentacle
  - octofleet.octopus.tentacle.restart
attributes:
  check_mode:
    support: full
    details: Reads and refuses in the same way, and returns whether the service would be started, stopped or restarted.
  diff_mode:
    support: N/A
    details: Changes no content.
  platform:
    platforms: linux, windows
    support: full
    details: Windows hosts are reached through the collection C(ansible.windows), which must be installed on the controller; not with C(async).
seealso:
  - module: octofleet.octopus.octo_instance_info
  - module: octofleet.octopus.octo_trust
"""

EXAMPLES = r"""
- name: Start the Tentacle
  octofleet.octopus.octo_service:
    instance: Tentacle
    state: started

- name: Let the Tentacles take over what their configurations say
  octofleet.octopus.octo_service:
    instance: "*"
    state: restarted_if_stale

- name: Restart a node that runs in a container, and wait until it presents the new certificate
  octofleet.octopus.octo_service:
    application: server
    state: restarted
    service: octopus
    restart_command: [docker, restart, octopus]
    endpoint: 127.0.0.1:10943
    thumbprint: 2B94C0DE2B94C0DE2B94C0DE2B94C0DE2B9411E3
"""

RETURN = r"""
instances:
  description:
    - One row for each Tentacle instance asked for, with the keys that M(octofleet.octopus.octo_instance_info) returns but C(file),
      C(key_copies) and C(newer_than_process), as they are afterwards, and those below.
    - With O(application=server) one row with C(instance), the unit, C(ok), C(code), C(reason), C(service) and those below.
    - Codes are those of M(octofleet.octopus.octo_instance_info) with those of its C(ready), and V(IN_USE), V(NOT_STOPPED),
      V(RESTART_INEFFECTIVE), V(NOT_RUNNING), V(NOT_SERVING), V(WRONG_CERTIFICATE), V(TIMEOUT).
  returned: when the host could be looked at
  type: list
  elements: dict
  contains:
    ok:
      description: Whether the service is as it was asked for.
      type: bool
    changed:
      description: Whether it was started, stopped or restarted.
      type: bool
    restarted:
      description: Whether it was restarted.
      type: bool
    proven:
      description: What was seen of the process, V(null) for a stopped one and in check mode.
      type: dict
      contains:
        serving:
          description: Thumbprint of the certificate that it presents, V(null) if nowhere was looked.
          type: str
        pid:
          description: Its id, V(0) if the service manager does not know it.
          type: int
        started_at:
          description: Time of its start.
          type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.octofleet.octopus.plugins.module_utils import _argspec
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import SYSTEM_CLOCK, PosixHost
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import manage, visit
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.service import Hands
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.tls import served_certificate

SPEC = _argspec.TENTACLE.merged(
    _argspec.RESTART,
    _argspec.ArgumentSpec(
        {
            "application": {"type": "str", "choices": ["tentacle", "server"], "default": "tentacle"},
            "endpoint": {"type": "str"},
            "instance": {"type": "str"},
            "restart_command": {"type": "list", "elements": "str", "aliases": ["restart"]},
            "state": {"type": "str", "choices": ["started", "stopped", "restarted", "restarted_if_stale"], "required": True},
            "thumbprint": {"type": "str"},
        },
        required_if=[("application", "tentacle", ["instance"])],
        required_by={"thumbprint": ["endpoint"]},
    ),
)


def main() -> None:
    module = AnsibleModule(supports_check_mode=True, **SPEC.to_kwargs())
    hands = Hands(PosixHost(), served_certificate, SYSTEM_CLOCK)
    try:
        rows = manage.service_rows(hands, module.params, visit.limits_of(module.params, module.check_mode))
    except OctoError as error:
        module.fail_json(msg=error.message, **error.evidence)
    module.exit_json(**visit.result_of(rows, f"The service is not {module.params['state']}"))


if __name__ == "__main__":
    main()
