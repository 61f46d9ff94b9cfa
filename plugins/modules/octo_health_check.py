#!/usr/bin/python
# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: octo_health_check
short_description: Have the Octopus Server check the health of machines, and judge each of them
version_added: 0.1.0
author:
  - the octofleet.octopus authors (@octofleet)
description:
  - Queues health checks, one task at a time for each space, with explicit machines in batches and a time-out from their number.
  - The colour of a task is not believed. A machine is healthy when the Server says so B(and) reached it after the task began; one that its
    policy let be skipped is not.
  - Disabled machines are never checked by the Server; they are listed, and do not fail the task.
options:
  spaces:
    description: Names or ids of the spaces in which O(machines) are looked for; all visible ones if not given.
    type: list
    elements: str
  machines:
    description:
      - Names or ids of the machines to check. A name that occurs in several spaces means all of them; one that occurs in none refuses.
      - Without it, all targets and workers that have a Tentacle.
    type: list
    elements: str
  nodes:
    description:
      - Endpoints (C(host:port) of the port for polling Tentacles) of the Server's nodes. What each presents when the check begins is returned as
        RV(presented), so that a rotation knows with which certificates the machines were reached.
    type: list
    elements: str
    default: []
  vantage:
    description: From where O(nodes) are looked at, V(controller) or an inventory host, see O(octofleet.octopus.octo_probe#module:vantage).
    type: str
    default: controller
  machine_timeout:
    description:
      - For how many seconds the Server waits for one machine. A polling Tentacle may take two minutes to call again after a restart of the Server.
    type: int
    default: 300
  poll_interval:
    description: Seconds between two looks at a task. Below 4 a Server that limits the rate may object.
    type: float
    default: 5.0
  batch_size:
    description: At most so many machines in one task.
    type: int
    default: 100
  attempts:
    description: How often a machine that is not healthy is checked, counting the first time.
    type: int
    default: 2
  fail:
    description: Whether the task fails when a machine is not healthy. With V(false) the caller judges RV(machines).
    type: bool
    default: true
extends_documentation_fragment:
  - octofleet.octopus.api
  - octofleet.octopus.api.connection
  - octofleet.octopus.attributes
attributes:
  check_mode:
    support: full
    details: Queues nothing, and lists who would be checked.
  diff_mode:
    support: N/A
    details: Changes nothing.
  platform:
    platforms: posix
    support: full
    details: Runs on the controller; the host that it is called for is not contacted.
seealso:
  - module: octofleet.octopus.octo_machine_info
"""

EXAMPLES = r"""
- name: Check every Tentacle of two spaces
  octofleet.octopus.octo_health_check:
    server_url: https://octopus.example.com
    api_key: "{{ lookup('ansible.builtin.env', 'OCTOPUS_CLI_API_KEY') }}"
    spaces: [Default, Finance]
  run_once: true
  delegate_to: localhost

- name: Check two machines and go on whatever they say
  octofleet.octopus.octo_health_check:
    server_url: https://octopus.example.com
    api_key: "{{ lookup('ansible.builtin.env', 'OCTOPUS_CLI_API_KEY') }}"
    machines: [web-01, Workers-3]
    fail: false
  run_once: true
  delegate_to: localhost
  register: health
"""

RETURN = r"""
healthy:
  description: Whether all machines that the Server checks are healthy.
  returned: success or failure of the judgement
  type: bool
machines:
  description: One row for each machine.
  returned: success or failure of the judgement
  type: list
  elements: dict
  contains:
    id:
      description: Id of the record.
      type: str
    name:
      description: Name of the record.
      type: str
    space:
      description: Name of its space.
      type: str
    kind:
      description: V(target) or V(worker).
      type: str
    health_status:
      description: What the record says; it may be of an earlier check, see RV(machines[].checked).
      type: str
      sample: Healthy
    healthy:
      description: The judgement; null for a disabled machine, and in check mode.
      type: bool
    checked:
      description: Whether the Server reached it after the task began.
      type: bool
    sentence:
      description: The judgement in words.
      type: str
presented:
  description: Thumbprints that O(nodes) presented when the check began; an empty string for one that did not answer.
  returned: success
  type: list
  elements: str
tasks:
  description: The health check tasks, in the order in which they ended.
  returned: success or failure of the judgement
  type: list
  elements: dict
  contains:
    id:
      description: Id of the task.
      type: str
    space:
      description: Name of its space.
      type: str
    state:
      description: State in which it was left.
      type: str
      sample: Success
    machines:
      description: How many machines it checked.
      type: int
    overdue:
      description: Whether it did not end in time and was cancelled.
      type: bool
    messages:
      description: The first warnings and errors of its log, when it did not succeed and a machine is not healthy.
      type: list
      elements: str
"""
