#!/usr/bin/python
# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: octo_machine_info
short_description: Read the machines, nodes and certificate that an Octopus Server knows
version_added: 0.1.0
author:
  - the octofleet.octopus authors (@octofleet)
description:
  - Reads deployment targets and workers of all spaces that the API key sees, the nodes of the cluster, the machine policies that change the
    meaning of a rotation, and the Server's certificate as the REST API shows it.
  - All machines are listed, whatever their style; RV(machines[].has_tentacle) says which have a certificate of their own.
options:
  spaces:
    description:
      - Names or ids of the spaces to read; all visible ones if not given.
      - A space that the key does not see refuses the task, and the sentence names those that it sees.
    type: list
    elements: str
extends_documentation_fragment:
  - octofleet.octopus.api
  - octofleet.octopus.api.connection
  - octofleet.octopus.attributes
attributes:
  check_mode:
    support: full
    details: Reads only.
  diff_mode:
    support: N/A
    details: Changes nothing.
  platform:
    platforms: posix
    support: full
    details: Runs on the controller; the host that it is called for is not contacted.
seealso:
  - module: octofleet.octopus.octo_health_check
"""

EXAMPLES = r"""
- name: Read all that the Octopus Server knows
  octofleet.octopus.octo_machine_info:
    server_url: https://octopus.example.com
    api_key: "{{ lookup('ansible.builtin.env', 'OCTOPUS_CLI_API_KEY') }}"
  run_once: true
  delegate_to: localhost
  register: octopus

- name: Name the polling Tentacles
  ansible.builtin.debug:
    msg: "{{ octopus.machines | selectattr('style', 'equalto', 'TentacleActive') | map(attribute='name') }}"
"""

RETURN = r"""
server:
  description: The Server itself.
  returned: success
  type: dict
  contains:
    version:
      description: Version of the Server.
      type: str
      sample: 2026.2.1234
    installation_id:
      description: Identity of the installation; the nodes of one cluster share it.
      type: str
    in_maintenance:
      description: Whether the Server is in maintenance mode.
      type: bool
    certificate:
      description: >-
        The certificate that Tentacles pin, as the REST API shows it. Between an import and a restart this may be the one in the database or
        the loaded one, so it is no evidence of either.
      type: dict
      contains:
        thumbprint:
          description: SHA-1 of the certificate, 40 hex digits.
          type: str
        signature_algorithm:
          description: Algorithm that signed it.
          type: str
          sample: sha256RSA
nodes:
  description: The nodes of the cluster.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the node.
      type: str
    name:
      description: Name of the node.
      type: str
    is_offline:
      description: Whether the cluster has not heard of the node for a while.
      type: bool
    is_draining:
      description: Whether the node takes no new tasks.
      type: bool
    last_seen:
      description: When the cluster heard of it last, ISO 8601.
      type: str
    running_tasks:
      description: How many tasks it runs.
      type: int
spaces:
  description: All spaces that the key sees, those that were not asked for too.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the space.
      type: str
    name:
      description: Name of the space.
      type: str
    is_default:
      description: Whether it is the default space.
      type: bool
    queue_stopped:
      description: Whether its task queue is stopped, so that new tasks wait for ever.
      type: bool
    chosen:
      description: Whether it was read.
      type: bool
policies:
  description: The machine policies of the spaces that were read.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the policy.
      type: str
    name:
      description: Name of the policy.
      type: str
    space_id:
      description: Id of its space.
      type: str
    deletes_unavailable_after:
      description: After how many seconds it deletes a record that stays unreachable; null if it never does.
      type: float
    skips_unavailable:
      description: Whether a health check succeeds although it did not reach the machine.
      type: bool
    upgrades_tentacles:
      description: Whether a Tentacle may be upgraded right after a health check.
      type: bool
    polling_queue_timeout:
      description: For how many seconds a call waits for a polling Tentacle to collect it; null for the Server's default.
      type: float
machines:
  description: Deployment targets and workers of the spaces that were read.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the record, such as V(Machines-12) or V(Workers-3).
      type: str
    name:
      description: Name of the record; unique in a space only.
      type: str
    kind:
      description: V(target) or V(worker).
      type: str
    space_id:
      description: Id of the space.
      type: str
    space:
      description: Name of the space.
      type: str
    style:
      description: How the Server reaches it.
      type: str
      sample: TentaclePassive
    has_tentacle:
      description: Whether a Tentacle with a certificate of its own is behind the record.
      type: bool
    thumbprint:
      description: The Tentacle's own certificate that the Server expects, as the Server spells it; null for other styles.
      type: str
    uri:
      description: Address of a listening Tentacle, or the subscription of a polling one.
      type: str
    address:
      description: Host of a listening Tentacle.
      type: str
    port:
      description: Port of a listening Tentacle.
      type: int
    subscription_id:
      description: Subscription of a polling Tentacle.
      type: str
    signature_algorithm:
      description: Algorithm of the Tentacle's certificate at the last contact.
      type: str
    is_disabled:
      description: Whether the record is disabled; the Server then never checks its health.
      type: bool
    in_process:
      description: Whether a task uses the machine.
      type: bool
    health_status:
      description: Healthy, HasWarnings, Unhealthy, Unavailable or Unknown.
      type: str
    status_summary:
      description: What the Server says of its last contact.
      type: str
    policy_id:
      description: Id of its machine policy.
      type: str
    environment_ids:
      description: Ids of the environments of a target.
      type: list
      elements: str
    worker_pool_ids:
      description: Ids of the pools of a worker.
      type: list
      elements: str
    roles:
      description: Roles (target tags) of a target.
      type: list
      elements: str
    proxy_id:
      description: Id of the proxy between the Server and a listening Tentacle.
      type: str
    tentacle_version:
      description: Version of the Tentacle at the last contact.
      type: str
"""
