#!/usr/bin/python
# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: octo_node
short_description: Drain a node of an Octopus Server, or make it active again
version_added: 0.1.0
author:
  - the octofleet.octopus authors (@octofleet)
description:
  - A restart of a node kills the tasks that it runs. A node that drains takes no new ones; drained, it runs none, and can be restarted.
  - The node's record goes back to the Server whole, with its task cap, and is read again.
  - The API key needs the permission to change nodes (C(AdministerSystem)). Maintenance mode, which concerns the whole Server, is not touched.
options:
  name:
    description: Name of the node, as the Server knows it, or V(*) for all. The only node needs none.
    type: str
  state:
    description:
      - V(drained) has the node take no new tasks, and waits until it runs none. If some are left after O(wait), the task fails, names them, and
        a node that it has drained is active again. A node that drains already is left draining.
      - V(active) has the node take tasks.
    type: str
    required: true
    choices: [drained, active]
  wait:
    description: For how many seconds at most O(state=drained) waits for running tasks to end. None is cancelled.
    type: int
    default: 600
  journal:
    description:
      - Folder on the host that the task is called for. Before O(state=drained) changes a node, it writes there that it does; if it cannot, no node is changed.
      - With it, O(state=active) changes only nodes that are noted there, and removes the note, so that a node that an operator drains stays as it is.
      - The rotation uses its key store on the first Server node, where the next run finds what one that was killed has left. Empty, it means the
        one that M(octofleet.octopus.octo_certificate) has without O(octofleet.octopus.octo_certificate#module:store).
    type: path
extends_documentation_fragment:
  - octofleet.octopus.api
  - octofleet.octopus.api.connection
  - octofleet.octopus.attributes
  - octofleet.octopus.attributes.actiongroup_api
attributes:
  check_mode:
    support: full
    details: Changes and notes nothing, waits for nothing, and says what would be changed.
  diff_mode:
    support: full
    details: Shows of each node whether it drains.
  platform:
    platforms: posix
    support: full
    details: Runs on the controller; the host that it is called for is contacted only with O(journal), and may then be a Windows host, too.
seealso:
  - module: octofleet.octopus.octo_service
  - module: octofleet.octopus.octo_machine_info
"""

EXAMPLES = r"""
- name: Restart a node by hand, and kill no task
  module_defaults:
    group/octofleet.octopus.api:
      server_url: https://octopus.example.com
      api_key: "{{ lookup('ansible.builtin.env', 'OCTOPUS_CLI_API_KEY') }}"
  block:
    - name: Let its tasks end
      octofleet.octopus.octo_node:
        name: node-2
        state: drained
        wait: 1800

    - name: Restart it
      octofleet.octopus.octo_service:
        application: server
        state: restarted
        restart: [docker, restart, octopus]
  always:
    - name: Let it take tasks
      octofleet.octopus.octo_node:
        name: node-2
        state: active
"""

RETURN = r"""
nodes:
  description: One row for each node that O(name) means.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the node.
      type: str
      sample: OctopusServerNodes-octopus-1
    name:
      description: Name of the node.
      type: str
    was_draining:
      description: Whether it was draining before.
      type: bool
    is_draining:
      description: Whether it is now, or in check mode would be.
      type: bool
    running_tasks:
      description: How many tasks it runs.
      type: int
waited:
  description: For how many seconds running tasks were waited for.
  returned: success
  type: float
  sample: 0.0
judge_again:
  description: Whether it waited so long that what was seen before it is old, and has to be judged again before a restart. That is more than five seconds.
  returned: success
  type: bool
"""
