#!/usr/bin/python
# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: octo_trust
short_description: Make Tentacles trust Octopus Servers, or stop trusting them
version_added: 0.1.0
author:
  - the octofleet.octopus authors (@octofleet)
description:
  - Brings the given Server thumbprints into the trust of a host's Tentacles, or out of it, restarts each Tentacle whose trust has changed, and
    waits until a new process serves TLS with the Tentacle's own certificate. All in one task.
  - Pins that are not given stay as they are, byte for byte. A copy of the configuration is kept before it is written.
  - Nothing is done where there is nothing to do. A Tentacle that still has to take over what is on disk is restarted.
  - A Tentacle that would not survive a restart as what it is, or that is not running, is refused before anything is written.
  - A Tentacle that polls its Servers expects one certificate at each address. With O(twin_of) each of its entries for the Server's present
    certificate gets a twin for the new one, with the same address and the same subscription. It then takes either certificate, and follows the
    Server's switch by itself. No command of the vendor can do that.
  - A Tentacle that pins one of the given thumbprints over a WebSocket, that is an agent in Kubernetes, or that has entries of an unknown kind is
    recognised, refused and left as it is.
  - An instance that is refused does not keep the others of the host from being visited; the task fails after the last one.
options:
  instance:
    description:
      - Name of the instance, or V(*) for all instances of the host.
      - With a O(permit) and V(*), only the instances that the permit names are visited.
    type: str
    required: true
  thumbprints:
    description:
      - Thumbprints of Server certificates, 40 hexadecimal digits each, as the Octopus portal shows them. Letter case does not matter.
      - With a O(permit) they are taken from it.
    type: list
    elements: str
    required: true
  state:
    description:
      - With V(present) each of the thumbprints is trusted exactly once, in upper case; by a Tentacle that polls, exactly once for each address and
        subscription. A duplicate or an odd spelling of it is repaired in the same write.
      - A Tentacle that listens gets an entry for listening, one that only polls gets none.
      - With V(absent) none of them is trusted, however it is spelled. Needs a O(permit) or O(unguarded=true). The last entry of an address and
        subscription is never removed.
      - With V(exact) the thumbprints are trusted and those of O(forget) are not. If anything else is trusted, it is refused. Needs
        O(unguarded=true).
    type: str
    choices: [present, absent, exact]
    default: present
  forget:
    description: What is to be removed with O(state=exact), as thumbprints; what is trusted and is no thumbprint, as it is spelled.
    type: list
    elements: str
    default: []
  twin_of:
    description:
      - The other certificate of the Server whose thumbprint is to be trusted, 40 hexadecimal digits. Whoever polls and pins one of the two gets
        what O(thumbprints) has of them in all those places.
      - With it O(thumbprints) holds one other thumbprint, and this one too if that is to be looked after. It says where a pin belongs, and is
        itself neither added nor repaired unless O(thumbprints) has it.
      - With a O(permit) and O(state=present) it is the certificate that the rotation retires.
    type: str
  polling:
    description:
      - What becomes of entries that poll the Server of O(twin_of).
      - With V(overlap) both certificates stand side by side. Until one of them is removed, each connection writes an error line every two minutes,
        since one of the two does not match.
      - With V(replace) the new thumbprint takes the place of O(twin_of), as the vendor documents it. The Tentacle is cut off from its restart until
        the Server presents the new certificate. Needs a O(permit) or O(unguarded=true).
      - With V(refuse) a Tentacle that polls the Server is left as it is.
    type: str
    choices: [overlap, replace, refuse]
    default: overlap
  shadow:
    description:
      - Address, such as C(https://controller.example.com:11943), of a listener that presents the certificate of O(thumbprints) that is not O(twin_of),
        as a rotation with C(octopus_shadow) has one.
      - With O(state=present) and O(polling=overlap), a Tentacle that polls the Server with both certificates pinned gets one more entry for that
        address in the same write. That it subscribes there proves that its process accepts the new certificate.
      - With O(state=absent) that entry is removed in the same write, whichever certificate it pins.
      - Whoever listens there and has that certificate's key can command the Tentacle. An address at which it polls a Server is refused.
    type: str
  shadowed:
    description:
      - With V(false) there is no such listener (any more), so O(state=present) removes the entry for O(shadow), too. Needs a O(permit) or
        O(unguarded=true).
    type: bool
    default: true
  writer:
    description:
      - With V(file) the configuration is replaced by an atomic edit that changes the trust value and nothing else, at a moment when no command of the
        vendor is at work on it.
      - With V(vendor) C(Tentacle configure) is used, for hosts where policy wants that, then read back and repeated. That verb loses updates and
        writes the file several times. It has no way to a twin; with O(polling=replace) C(Tentacle update-trust) is used, on a Tentacle that does not
        have the new thumbprint yet.
    type: str
    choices: [file, vendor]
    default: file
  restart:
    description: Whether a Tentacle is restarted when it has to take over its trust. With V(false) a change takes effect at its next start.
    type: bool
    default: true
  backup_folder:
    description:
      - Folder on the host for copies of configurations, of which the newest five of each instance are kept, readable by their owner only.
      - Without it they lie beside the configuration.
    type: path
  unguarded:
    description:
      - Whether pins are removed without a O(permit), the last one included, except where that would end a subscription.
      - Outside of a rotation nobody has proved that the Tentacle is reachable without them. A word for a reviewer to see.
    type: bool
    default: false
extends_documentation_fragment:
  - octofleet.octopus.attributes
  - octofleet.octopus.attributes.actiongroup_tentacle
  - octofleet.octopus.tentacle
  - octofleet.octopus.tentacle.restart
attributes:
  check_mode:
    support: full
    details: Reads and refuses in the same way, and returns what would be changed.
  diff_mode:
    support: full
    details: Shows one pin a line.
  platform:
    platforms: linux, windows
    support: full
    details: Windows hosts are reached through the collection C(ansible.windows), which must be installed on the controller; not with C(async).
seealso:
  - module: octofleet.octopus.octo_instance_info
  - module: octofleet.octopus.octo_rotation
  - module: octofleet.octopus.octo_service
"""

EXAMPLES = r"""
- name: Trust the certificate of a second Server
  octofleet.octopus.octo_trust:
    instance: Tentacle
    thumbprints:
      - 2B94C0DE2B94C0DE2B94C0DE2B94C0DE2B9411E3

- name: Trust the next certificate of a Server, also where its Tentacles poll it
  octofleet.octopus.octo_trust:
    instance: "*"
    thumbprints:
      - 2B94C0DE2B94C0DE2B94C0DE2B94C0DE2B9411E3
    twin_of: 6D1FC0DE6D1FC0DE6D1FC0DE6D1FC0DE6D1FA07C

- name: Stop trusting a Server that is gone
  octofleet.octopus.octo_trust:
    instance: "*"
    thumbprints:
      - 6D1FC0DE6D1FC0DE6D1FC0DE6D1FC0DE6D1FA07C
    state: absent
    unguarded: true

- name: Trust what the gate of a rotation says
  octofleet.octopus.octo_trust:
    instance: "*"
    permit: "{{ octopus_gate.permit | default(omit, true) }}"
"""

RETURN = r"""
instances:
  description:
    - One row for each instance asked for. It has the keys that M(octofleet.octopus.octo_instance_info) returns but C(file), C(key_copies) and
      C(newer_than_process), as they are after the visit, and those below.
    - RV(instances[].ok) is V(false) for an instance that was refused or went wrong, and C(code) and C(reason) say why.
    - Codes are those of M(octofleet.octopus.octo_instance_info) with those of its C(ready), and V(NOT_PERMITTED), V(NOT_EXPANDABLE),
      V(UNKNOWN_PINS), V(LAST_PIN), V(LAST_ENTRY), V(TWO_SUBSCRIPTIONS), V(VENDOR_CANNOT), V(NEW_NOT_TRUSTED), V(RESTART_DROPS_PIN),
      V(IDENTITY_CHANGED), V(SHADOW_IS_SERVER), V(IN_USE), V(NOT_WRITTEN), V(NOT_WRITABLE), V(EDIT_NOT_EXACT),
      V(RESTART_INEFFECTIVE), V(NOT_RUNNING), V(NOT_SERVING), V(WRONG_CERTIFICATE), V(TIMEOUT).
    - The code V(NOT_NAMED) with RV(instances[].ok=true) stands for an instance that the permit does not name, V(STRANGER) for one that a permit
      for all instances does not mean, since it trusts neither certificate of the rotation. Both were left alone.
  returned: when the host could be looked at
  type: list
  elements: dict
  contains:
    ok:
      description: Whether the instance is as it was asked for, or was not meant.
      type: bool
    changed:
      description: Whether its trust has changed or it was restarted, also if it went wrong afterwards.
      type: bool
    before:
      description: The trust before, each entry with C(canonical), and C(style) or the C(address) that it polls.
      type: list
      elements: dict
    after:
      description: The trust afterwards, in check mode as it would be.
      type: list
      elements: dict
    restarted:
      description: Whether a restart was ordered.
      type: bool
    proven:
      description: What was seen of the new process, V(null) without a restart.
      type: dict
      contains:
        serving:
          description: Thumbprint of the certificate that it presents, V(null) for one that is not to listen.
          type: str
        pid:
          description: Its id.
          type: int
        started_at:
          description: Time of its start.
          type: str
        polls:
          description:
            - How many of the entries with which it polls where this task had something to say have met a Server, which C(met) says and C(of)
              their number. RV(instances[].polls) tells what became of each.
            - It is waited for ten seconds at most. That a Server did not answer is no failure of the visit.
          type: dict
    polls:
      description: Whom it polls and what was seen of that, as M(octofleet.octopus.octo_instance_info) tells it.
      type: list
      elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.octofleet.octopus.plugins.module_utils import _argspec
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import SYSTEM_CLOCK, PosixHost
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import visit
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import installation_of
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.service import Hands
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.tls import served_certificate

SPEC = _argspec.ArgumentSpec(
    {
        "backup_folder": {"type": "path"},
        "forget": {"type": "list", "elements": "str", "default": []},
        "instance": {"type": "str", "required": True},
        "polling": {"type": "str", "choices": ["overlap", "replace", "refuse"], "default": "overlap"},
        "restart": {"type": "bool", "default": True},
        "shadow": {"type": "str"},
        "shadowed": {"type": "bool", "default": True},
        "state": {"type": "str", "choices": ["present", "absent", "exact"], "default": "present"},
        "thumbprints": {"type": "list", "elements": "str", "required": True},
        "twin_of": {"type": "str"},
        "unguarded": {"type": "bool", "default": False},
        "writer": {"type": "str", "choices": ["file", "vendor"], "default": "file"},
    }
).merged(_argspec.TENTACLE, _argspec.RESTART)


def main() -> None:
    module = AnsibleModule(supports_check_mode=True, **SPEC.to_kwargs())
    hands = Hands(PosixHost(), served_certificate, SYSTEM_CLOCK)
    try:
        task = visit.trust_task(module.params, module.check_mode)
        result = visit.result_of(visit.trust_rows(hands, task, installation_of(module.params)), "The trust is not as it was asked for")
    except OctoError as error:
        module.fail_json(msg=error.message, **error.evidence)
    if module._diff:
        result["diff"] = visit.diff_of(result["instances"])
    module.exit_json(**result)


if __name__ == "__main__":
    main()
