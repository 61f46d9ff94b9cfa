#!/usr/bin/python
# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: octo_rotation
short_description: Judge a fleet, and permit the next step of a certificate rotation
version_added: 0.1.0
author:
  - the octofleet.octopus authors (@octofleet)
description:
  - Reads the Server's records, the Server's nodes and every Tentacle on the wire at the moment of judging, adds what the visits of this run
    registered on the hosts, and evaluates one formula, which says whether the asked step can lock a Tentacle out.
  - Never fails after the run has begun to change things. It returns RV(allowed=false) with RV(lines), so that a report is always
    possible; only O(step=open) and O(step=close) fail.
  - The acting modules of a rotation refuse to act without the RV(permit) that this module issues. Register its result with C(run_once), so
    that every host of the wave has it.
  - Plan, status and refusals are printed as plain lines.
options:
  step:
    description:
      - What is judged. V(open) comes first, V(close) last.
      - V(expand), V(nudge) and V(contract) judge the hosts of the current batch of a play with C(serial); V(restart_node) the current Server node.
    type: str
    required: true
    choices: [open, expand, switch, restart_node, nudge, verify, contract, close]
  direction:
    description: With V(back) the certificate to adopt must be in the store already.
    type: str
    choices: [forward, back]
    default: forward
  retire:
    description: Thumbprint of the Server certificate to retire, 40 hex digits. Required with O(commit=true).
    type: str
  adopt:
    description: Thumbprint of the certificate to adopt, if the store holds more than one that would do.
    type: str
  commit:
    description: Whether steps may be permitted. V(false), and check mode, give the plan.
    type: bool
    default: false
  spaces:
    description: Names of all spaces whose Tentacles the Server serves. Required with O(commit=true).
    type: list
    elements: str
  store:
    description: Folder on the first Server node that holds the PFX files, see M(octofleet.octopus.octo_certificate).
    type: path
  backup_password:
    description: Password of the PFX files in O(store). Without it the wire is asked for identities only.
    type: str
  instance:
    description: Name of the Octopus Server's instance on the node.
    type: str
    default: OctopusServer
  executable:
    description: Program and leading arguments that reach C(Octopus.Server) on the node, see M(octofleet.octopus.octo_certificate).
    type: list
    elements: str
  copy_in:
    description: See M(octofleet.octopus.octo_certificate).
    type: list
    elements: str
  copy_out:
    description: See M(octofleet.octopus.octo_certificate).
    type: list
    elements: str
  known_servers:
    description: Other Servers by name, each a list of C(host:port) or thumbprints; the old certificate is removed only if none presents it.
    type: dict
  leave_behind:
    description: Reasons by the name of the record or C(host/instance); each is judged anew and named in plan and report as to be cut off.
    type: dict
    default: {}
  probe_from:
    description: From where nodes and Tentacles are probed, V(controller) or an inventory host, see O(octofleet.octopus.octo_probe#module:vantage).
    type: str
    default: controller
  away_at_most:
    description:
      - At most so many Tentacle hosts may be away at the same time; the permit carries it and the acting module refuses more.
      - A number, or a dictionary with C(total) (a number, 20 by default), C(environments) and C(roles) (numbers by name). A wave that touches
        one of these goes by the least of their bounds.
    type: raw
    default: 20
  stop_at:
    description:
      - When no further step is begun, by the controller's clock. C(HH:MM) means the next such time after the start of the run; else an ISO time.
      - Nodes that are to take over a certificate that was imported already are still restarted. Run again to go on.
    type: str
  pause:
    description: For how many seconds to wait between two waves.
    type: float
    default: 0
  busy:
    description:
      - What to do with a Tentacle that runs a task. A restart cuts calls in flight at once.
      - V(wait) waits for it; V(skip) leaves it out and goes on with the others, so that the switch is refused until a later run has visited it;
        V(refuse) ends the run before anything is touched, and does not visit a wave in which a task has begun meanwhile.
    type: str
    choices: [wait, skip, refuse]
    default: wait
  busy_wait:
    description: For how many seconds at most to wait for running tasks.
    type: int
    default: 1800
  waves:
    description: Sizes of the waves, as C(serial) takes them. Used for the plan's text only.
    type: list
    elements: raw
    default: [1, "5%", "25%", "100%"]
  polling:
    description:
      - How polling Tentacles get the new certificate.
      - V(overlap) gives each entry that pins the old one a twin that pins the new one, so that the Tentacle follows the Server's switch by itself.
      - V(replace) is the vendor's documented way. Each is offline from its visit until the Server has switched and restarted.
      - V(refuse) touches none, and refuses to switch a Server that polling Tentacles depend on.
    type: str
    choices: [overlap, replace, refuse]
    default: overlap
  polling_waves:
    description: Sizes of the waves of polling Tentacles, which come after the listening ones. Used for the plan's text only.
    type: list
    elements: raw
    default: [2, "100%"]
  polling_gap:
    description:
      - For how many seconds at most a polling Tentacle waits between two tries, which is the vendor's longest back-off.
      - Between two nodes of a cluster V(restart_node) waits as long as the overlap makes likely, and never longer than this.
    type: float
    default: 120
  polling_nudge:
    description: Whether the polling Tentacles are restarted once the nodes present the new certificate, so that they call at once.
    type: bool
    default: false
  shadow:
    description:
      - A listener of this run on the controller that polling Tentacles subscribe to while both certificates are pinned, which proves that their running
        processes accept the new one. It presents that from O(step=expand) to O(step=close), with a key that stays in memory.
      - Only with O(polling=overlap).
    type: dict
    suboptions:
      listen:
        description:
          - Address and port of the controller, such as C(0.0.0.0:11943).
          - Without it nothing listens, and entries for O(shadow.address) that an earlier run has left are taken out.
        type: str
      address:
        description: The address under which the Tentacles reach it, such as C(https://controller.example.com:11943).
        type: str
  report:
    description: File on the controller that gets the report as JSON at O(step=close).
    type: path
extends_documentation_fragment:
  - octofleet.octopus.api
  - octofleet.octopus.api.connection
  - octofleet.octopus.api.proxies
  - octofleet.octopus.attributes
attributes:
  check_mode:
    support: full
    details: Judges in the same way and permits nothing.
  diff_mode:
    support: N/A
    details: Changes nothing.
  platform:
    platforms: posix
    support: full
    details: Runs on the controller. The first Server node, whose keys it reads, may be a Windows host, see M(octofleet.octopus.octo_certificate).
"""

EXAMPLES = r"""
- name: See what a rotation would do
  octofleet.octopus.octo_rotation:
    step: open
    server_url: https://octopus.example.com
    api_key: "{{ lookup('ansible.builtin.env', 'OCTOPUS_CLI_API_KEY') }}"
    spaces: [Default]
  run_once: true
  delegate_to: "{{ groups['octopus_server'] | first }}"
  register: octopus_gate
"""

RETURN = r"""
allowed:
  description: Whether the asked step is allowed.
  returned: always
  type: bool
lines:
  description: What was printed.
  returned: always
  type: list
  elements: str
phase:
  description: Phase of the rotation, derived from facts.
  returned: always
  type: str
  sample: EXPAND
retire:
  description: Thumbprint of the certificate to retire.
  returned: when known
  type: str
adopt:
  description: Thumbprint of the certificate to adopt; empty while there is none.
  returned: always
  type: str
hosts:
  description: Hosts of this batch that may act.
  returned: always
  type: list
  elements: str
permit:
  description: What the acting module asks for; not there when nothing is permitted.
  returned: when RV(allowed) and there is something to do
  type: dict
shadow:
  description:
    - For O(octofleet.octopus.octo_trust#module:shadow), C(address) of O(shadow) and, with O(step=expand), whether it C(listens) and Tentacles are to
      get an entry for it.
  returned: with O(shadow) and O(step=expand) or O(step=contract)
  type: dict
clauses:
  description: Each clause of the formula with its value and sentence.
  returned: always
  type: list
  elements: dict
report:
  description: The report.
  returned: with O(step=close)
  type: dict
"""
