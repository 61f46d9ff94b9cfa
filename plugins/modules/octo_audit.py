#!/usr/bin/python
# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: octo_audit
short_description: Say who trusts whom in a fleet of Tentacles, from four sources
version_added: 0.1.0
author:
  - the octofleet.octopus authors (@octofleet)
description:
  - Reads up to four sources and says which Tentacles a restart would cut off, which trust a key that nobody answers for, which let anybody in, and what
    to run about each. It changes nothing but the files of O(report_folder), and needs no rotation.
  - Runs once for the whole play, on the controller, whatever the number of hosts.
  - What could not be read is named with the reason and is never called fine. A source that does not answer never fails the task; O(fail_on) does.
  - Each finding has a stable code. What each code means is on a page of its own in the documentation of the collection.
options:
  sources:
    description:
      - What to read. Nothing is asked of a source that is not listed.
      - V(wire) is what running processes present and, with O(pfx), whom they accept. Probed are the Tentacles that V(database), V(disk) or V(process)
        know, and the Servers' own ports.
      - V(disk) and V(process) are what M(octofleet.octopus.octo_instance_info) found on the hosts; see O(readings).
      - V(database) is what the Octopus Server has on record, in all the spaces that the key sees; see O(server_url).
    type: list
    elements: str
    choices: [wire, disk, database, process]
    default: [wire, disk, database, process]
  server_url:
    description:
      - Address of the Octopus Server's web portal, with its virtual directory if it has one, such as V(https://octopus.example.com).
      - Without it, or without O(api_key), the database is not read, and the result says so.
    type: str
  api_key:
    description:
      - API key of a user who may see the machines, workers, environments and machine policies of the spaces. Nothing is changed with it.
      - It goes into a request header and nowhere else.
    type: str
  patience:
    description: For how many seconds in all the audit waits for a Server that refuses connections, limits the rate or answers that it is starting.
    type: int
    default: 120
  spaces:
    description: Names of spaces that the Server has. One that the key does not see is a finding. All spaces that it sees are read in any case.
    type: list
    elements: str
    default: []
  pfx:
    description:
      - Path on the controller of a PFX file with the certificate and key of this Server. With it the wire is asked whom the Tentacles accept, on behalf of
        a random certificate, of none, and of this one. Without it only the Tentacles' own certificates are looked at.
      - Or a list of up to three dictionaries with C(pfx) and C(pfx_password), during a rotation for instance.
      - The key stays in memory.
    type: raw
  pfx_password:
    description: Password of O(pfx).
    type: str
  known_servers:
    description:
      - Other Servers by name, each a list of C(host:port) of their ports for polling Tentacles, or of thumbprints.
      - Without it, what takes knowledge of the other Servers is not judged. An empty dictionary says that there are none.
    type: dict
  retired_thumbprints:
    description:
      - Thumbprints of Server certificates that are out of use. Whoever still presents one of them is a finding.
      - Without it that is not judged. An empty list says that there are none.
    type: list
    elements: str
  readings:
    description: Name of the variable in which each host of O(tentacles) has the registered result of M(octofleet.octopus.octo_instance_info).
    type: str
    default: octopus_reading
  tentacles:
    description: Inventory hosts of the Tentacles. Without it those of the group C(octopus_tentacles).
    type: list
    elements: str
  servers:
    description:
      - Inventory hosts of the Server's nodes. Without it those of the group C(octopus_server).
      - A node is looked at under C(octopus_node_endpoint) of its host, C(<address>:10943) if that is not set, and has the name C(octopus_node_name).
    type: list
    elements: str
  vantage:
    description:
      - From where the wire is probed, V(controller) or an inventory host, see O(octofleet.octopus.octo_probe#module:vantage).
      - From another host than the controller certificates come as thumbprints only, so that the wire tells nothing of their algorithms.
    type: str
    default: controller
  reports:
    description:
      - Which reports to write into O(report_folder). Files of the same names are replaced.
      - V(json) is everything, as C(octopus-audit.json); C(docs/schema/audit-1.schema.json) of the collection is its JSON Schema.
      - V(csv) has a row for each Tentacle, as C(octopus-audit.csv). V(junit) has a case for each finding, as C(octopus-audit.xml).
      - V(html) is one page with the trust matrix that needs no network, as C(octopus-audit.html).
    type: list
    elements: str
    choices: [json, csv, junit, html]
    default: [json, csv, junit, html]
  report_folder:
    description:
      - Folder on the controller for the reports, made with mode 0700 if it is not there. The files have mode 0600. Check mode writes them, too.
      - Without it there are no files.
    type: path
  fail_on:
    description:
      - Which findings fail the task, when the reports are written. V(warning) includes critical ones. Findings that O(accept) covers never do.
      - They are the failures of the V(junit) report, too.
    type: str
    choices: [critical, warning, never]
    default: never
  query:
    description: JMESPath expression over the JSON report, answered in RV(query).
    type: str
  accept:
    description:
      - YAML file on the controller with findings that are accepted, a list of dictionaries with C(code), C(subject) (exact, or with C(*) and C(?)),
        C(reason) and C(until), the last day on which it holds. All four are required.
      - An entry that has run out accepts nothing, and is a finding while what it was about still stands.
    type: path
  since:
    description:
      - JSON report of an earlier audit on the controller, to compare with. It is read before reports are written, so it may be the file that is
        replaced.
      - A finding of it that could not be looked for this time is not called gone.
    type: path
  rotation_takes:
    description: For how many seconds a rotation may take, for the judgement of machine policies that delete unavailable machines.
    type: float
    default: 3600
  only_check:
    description:
      - Only look whether the other options, and the files that they name, can be understood. Nothing is read, and there is no other result than a failure.
      - For the beginning of a play that visits many hosts before it audits.
    type: bool
    default: false
extends_documentation_fragment:
  - octofleet.octopus.api.connection
  - octofleet.octopus.api.proxies
  - octofleet.octopus.attributes
  - octofleet.octopus.attributes.actiongroup_api
attributes:
  check_mode:
    support: full
    details: Check mode is the same as real mode. The reports are written.
  diff_mode:
    support: N/A
    details: Changes nothing.
  platform:
    platforms: posix
    support: full
    details: Runs on the controller. Windows hosts are audited like others.
notes:
  - Is never C(changed). The reports are its output, and are new each time.
  - Needs the strategy V(linear), since it runs once for all hosts. In a play with C(serial) it runs once for each batch.
requirements:
  - cryptography >= 42 and pyOpenSSL >= 24.1 on the controller for the wire
  - jmespath on the controller for O(query)
seealso:
  - module: octofleet.octopus.octo_instance_info
  - module: octofleet.octopus.octo_probe
  - ref: ansible_collections.octofleet.octopus.docsite.guide_audit
    description: What each source tells, and how to run an audit as a gate.
"""

EXAMPLES = r"""
- name: Audit what the Server has on record, and the wire
  octofleet.octopus.octo_audit:
    sources: [wire, database]
    server_url: https://octopus.example.com
    api_key: "{{ lookup('ansible.builtin.env', 'OCTOPUS_CLI_API_KEY') }}"
    report_folder: octopus-audit
  register: octopus_audit

- name: Audit everything, as a gate, against last night's audit
  octofleet.octopus.octo_audit:
    server_url: https://octopus.example.com
    api_key: "{{ lookup('ansible.builtin.env', 'OCTOPUS_CLI_API_KEY') }}"
    pfx: /etc/octopus-audit/server.pfx
    pfx_password: "{{ vault_server_pfx_password }}"
    known_servers:
      dr: [octopus-dr.example.com:10943]
    retired_thumbprints: [6D1F0E7B3C2A49B8A17C5E90D4F3286B7A54A07C]
    report_folder: octopus-audit
    since: octopus-audit/octopus-audit.json
    accept: accepted.yml
    fail_on: critical

- name: Ask for the endpoints with weak certificates
  octofleet.octopus.octo_audit:
    query: "findings[?code=='WEAK_CERT'].subject"
  register: octopus_audit
"""

RETURN = r"""
counts:
  description: C(tentacles), C(hosts), open findings by severity, C(accepted) ones, and how many Tentacles are C(fine) or C(not_judged).
  returned: success, and when O(fail_on) fails the task
  type: dict
  sample: {"tentacles": 300, "hosts": 280, "critical": 2, "warning": 5, "info": 9, "accepted": 1, "fine": 280, "not_judged": 3}
findings:
  description: What was found, the worst first, accepted findings included.
  returned: success, and when O(fail_on) fails the task
  type: list
  elements: dict
  contains:
    id:
      description: The same in every audit for the same finding.
      type: str
    code:
      description: Its code.
      type: str
      sample: LOCKED_OUT
    severity:
      description: V(critical), V(warning) or V(info).
      type: str
    subject:
      description: What it is about.
      type: str
      sample: web-01/Tentacle
    kind:
      description: What that is, V(tentacle), V(node), V(server), V(certificate), V(space), V(fleet) or V(host).
      type: str
    host:
      description: The inventory host, empty where there is not exactly one.
      type: str
    spaces:
      description: Spaces that it is about.
      type: list
      elements: str
    environments:
      description: Environments that it is about.
      type: list
      elements: str
    count:
      description: How many it groups.
      type: int
    subjects:
      description: All that it groups.
      type: list
      elements: str
    seen:
      description: What was seen, in one sentence.
      type: str
    remedy:
      description: What to do, in one sentence.
      type: str
    page:
      description: Its page in the documentation.
      type: str
      sample: codes/LOCKED_OUT
    accepted:
      description: C(reason) and C(until), null if it is not accepted.
      type: dict
    status:
      description: V(new) or V(unchanged) against O(since), null without.
      type: str
tentacles:
  description: A row for each Tentacle, without the matrix.
  returned: success, and when O(fail_on) fails the task
  type: list
  elements: dict
  contains:
    id:
      description: Host and instance, or the name of the record where no host is known.
      type: str
    host:
      description: The inventory host.
      type: str
    instance:
      description: The instance.
      type: str
    style:
      description: V(listening), V(polling), V(websocket), V(kubernetes), V(no tentacle) or V(unknown).
      type: str
    endpoint:
      description: Where it listens.
      type: str
    severity:
      description: That of its worst finding, V(fine), or V(not_judged).
      type: str
    identity:
      description:
        - Whether the sources agree about its own certificate, V(agrees), V(differs), V(disputed), V(single) if one source was read, or V(not_read).
      type: str
    presented:
      description: Thumbprint that it presents.
      type: str
    on_disk:
      description: Thumbprint in its configuration.
      type: str
    restart_pending:
      description: Whether its process works with another configuration than the disk has, V(yes), V(no), V(probably) or V(unknown).
      type: str
    not_read:
      description: Reasons by source, for those that were asked and could not be read.
      type: dict
    findings:
      description: Codes of its findings that are not accepted.
      type: list
      elements: str
codes:
  description: For each code C(severity), C(title), how often it was C(found), C(accepted), C(judged) and C(not_judged), and C(why_not).
  returned: success, and when O(fail_on) fails the task
  type: dict
sources:
  description: For each of the four sources whether it was C(asked), its C(mode), how many were C(read) and C(not_read), and the C(reason).
  returned: success, and when O(fail_on) fails the task
  type: dict
servers:
  description: This Server and those of O(known_servers), with what each node presents.
  returned: success, and when O(fail_on) fails the task
  type: list
  elements: dict
certificates:
  description: Server certificates, those that are presented and those that are only pinned, with the number of Tentacles that pin them.
  returned: success, and when O(fail_on) fails the task
  type: list
  elements: dict
changes:
  description:
    - Against O(since), null without. C(since) is its time, C(new) ids, C(gone) findings that were looked for and not found, C(not_judged) findings
      that could not be looked for, C(unchanged) a number.
  returned: success, and when O(fail_on) fails the task
  type: dict
accept_unused:
  description: Entries of O(accept) that met no finding.
  returned: success, and when O(fail_on) fails the task
  type: list
  elements: dict
query:
  description: The answer to O(query), null without.
  returned: success, and when O(fail_on) fails the task
  type: raw
reports:
  description: Paths of the reports that were written, by format.
  returned: success, and when O(fail_on) fails the task
  type: dict
  sample: {"json": "/home/me/octopus-audit/octopus-audit.json"}
lines:
  description: What was printed.
  returned: success, and when O(fail_on) fails the task
  type: list
  elements: str
"""
