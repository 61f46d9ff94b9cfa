#!/usr/bin/python
# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: octo_certificate
short_description: Back up, stage and activate the certificate of an Octopus Server
version_added: 0.1.0
author:
  - the octofleet.octopus authors (@octofleet)
description:
  - Keeps the PFX files of a rotation in a private folder on a Server node, each encrypted (AES-256, leaf and key only) with
    O(backup_password), and brings one of them into the Octopus Server's database.
  - What the vendor's tool says is not believed. The certificate in the database is read by exporting it, before and after an import.
  - The user's passwords stay on the controller. The vendor's tool, which takes a password on its command line only, gets a one-use password
    for a file in a private folder that is gone afterwards.
  - No node is restarted. Until a node is, it presents the certificate that it loaded at its start.
  - One task at a time works on a store, seen from one controller. A second one, such as that of a run beside the workers that a killed run left,
    waits as long as O(timeout) says and is then refused.
  - Refused under E(ANSIBLE_DEBUG), which shows whatever modules are given and answer, unless nothing secret has to travel. C(-vvvv) shows nothing
    secret.
options:
  application:
    description: Whose certificate. V(tentacle) is refused in this version.
    type: str
    required: true
    choices: [server, tentacle]
  state:
    description:
      - V(backed_up) means that the store has a PFX of O(thumbprint) that opens and has its key; if not, it is exported from the database.
      - V(staged) means that the store has the one certificate that will replace O(replaces). Running again never makes a second one.
      - V(active) means that the Server's database holds O(thumbprint). An import that leads to anything but O(thumbprint) or O(replaces)
        is undone at once by importing O(replaces) again. Needs O(permit) or O(unguarded).
    type: str
    required: true
    choices: [backed_up, staged, active]
  thumbprint:
    description:
      - Thumbprint, 40 hex digits, letter case ignored.
      - For O(state=backed_up), the certificate that the nodes present.
      - For O(state=staged), optional, the certificate to adopt, if the store has it already; this is how a roll-back adopts a backup.
      - For O(state=active), the certificate to bring into the database.
    type: str
  replaces:
    description: Thumbprint of the certificate to be retired. Needed for O(state=staged) and O(state=active).
    type: str
  source:
    description:
      - Where a certificate comes from that is not staged yet.
      - V(vendor) is C(Octopus.Server new-certificate) on the node, V(pfx) is O(pfx), and V(generated) is made on the controller with the same
        properties as the vendor's (RSA 2048, SHA-256, self-signed, a hundred years).
    type: str
    choices: [vendor, pfx, generated]
    default: vendor
  pfx:
    description:
      - Path on the controller of a PFX file with the new certificate.
      - It is checked before anything else. It must hold an RSA key of 2048 bits or more and the certificate of that key, valid today; of a
        chain, only the leaf is kept.
    type: path
  pfx_password:
    description: Password of O(pfx), if it has one. It stays on the controller.
    type: str
  trusted_by_nobody:
    description:
      - Thumbprints that are known to be trusted by no Tentacle.
      - Only such a staged certificate is deleted when it cannot be opened or when another one is to be staged in its place.
    type: list
    elements: str
    default: []
  store:
    description: Folder on the node, for its owner only (0700). It holds V(<thumbprint>.pfx) and, for people, V(<thumbprint>.json).
    type: path
    default: /var/lib/octopus-rotation
  backup_password:
    description: Password of all PFX files in O(store) and O(backup_dir). Needed for every state. It stays on the controller.
    type: str
  backup_dir:
    description: Folder on the controller that gets a copy of the PFX, for its owner only.
    type: path
  instance:
    description: Name of the Octopus Server's instance on the node.
    type: str
    default: OctopusServer
  executable:
    description: Program and leading arguments that reach C(Octopus.Server), such as V([docker, exec, octopus, /Octopus/Octopus.Server]).
    type: list
    elements: str
    default: [/Octopus/Octopus.Server]
  copy_in:
    description:
      - For a Server in a container, program and arguments that copy C({src}) of the host to C({dest}) of the container, such as
        V([docker, cp, "{src}", "octopus:{dest}"]).
    type: list
    elements: str
  copy_out:
    description: The same in the other direction, such as V([docker, cp, "octopus:{src}", "{dest}"]). Needed together with O(copy_in).
    type: list
    elements: str
  timeout:
    description: After how many seconds a single run of the vendor's tool is given up.
    type: int
    default: 300
  permit:
    description: The permit that M(octofleet.octopus.octo_rotation) registered. Needed for O(state=active), unless O(unguarded=true).
    type: dict
  unguarded:
    description: Says that O(state=active) is wanted without a rotation that proved that every Tentacle trusts O(thumbprint).
    type: bool
    default: false
  hand:
    description: Internal. What the action asks of the module on the node; a task that sets it is refused.
    type: dict
    suboptions:
      verb:
        description: What to do.
        type: str
        required: true
        choices: [entries, inspect, put, drop, export, generate, replace]
      thumbprint:
        description: Which certificate.
        type: str
      note:
        description: What to write beside a PFX.
        type: dict
      pfx:
        description: An encrypted PFX in base64.
        type: str
      password:
        description: The one-use password of O(hand.pfx).
        type: str
extends_documentation_fragment:
  - octofleet.octopus.attributes
attributes:
  check_mode:
    support: full
    details: >-
      Reads the store, exports and generates nothing, and says what would be done. Whether the database holds O(thumbprint) already is not
      looked up.
  diff_mode:
    support: full
    details: Shows the thumbprint that is backed up, staged or active, before and after.
  platform:
    platforms: posix
    support: full
requirements:
  - cryptography (on the controller)
seealso:
  - module: octofleet.octopus.octo_rotation
"""

EXAMPLES = r"""
- name: Back up the certificate that is in use
  octofleet.octopus.octo_certificate:
    application: server
    state: backed_up
    thumbprint: 6D1F8C0000000000000000000000000000A07C11
    backup_password: "{{ vault_octopus_backup_password }}"
    backup_dir: /srv/backup/octopus
  become: true

- name: Make the certificate that will replace it, once
  octofleet.octopus.octo_certificate:
    application: server
    state: staged
    replaces: 6D1F8C0000000000000000000000000000A07C11
    backup_password: "{{ vault_octopus_backup_password }}"
  become: true
  register: staged

- name: Bring it into the database of a Server in a container, by hand
  octofleet.octopus.octo_certificate:
    application: server
    state: active
    thumbprint: "{{ staged.certificate.thumbprint }}"
    replaces: 6D1F8C0000000000000000000000000000A07C11
    backup_password: "{{ vault_octopus_backup_password }}"
    executable: [docker, exec, octopus, /Octopus/Octopus.Server]
    copy_in: [docker, cp, "{src}", "octopus:{dest}"]
    copy_out: [docker, cp, "octopus:{src}", "{dest}"]
    unguarded: true
  become: true
"""

RETURN = r"""
certificate:
  description: The certificate that is backed up, staged or active; null for one that does not exist yet (check mode).
  returned: success
  type: dict
  contains:
    thumbprint:
      description: SHA-1 of the certificate, 40 upper-case hex digits.
      type: str
    subject:
      description: Subject of the certificate.
      type: str
      sample: CN=Octopus Portal
    signature_algorithm:
      description: Algorithm that signed it.
      type: str
      sample: sha256RSA
    key_bits:
      description: Length of the RSA key.
      type: int
    not_before:
      description: Begin of its validity, ISO 8601.
      type: str
    not_after:
      description: End of its validity, ISO 8601.
      type: str
    source:
      description: Where it came from, V(export), V(vendor), V(pfx) or V(generated); V(store) if the store does not say.
      type: str
    path:
      description: Its PFX on the node.
      type: str
before:
  description: Thumbprint under the name of the state, before the task; null if there was none.
  returned: success
  type: dict
  sample: {"staged": null}
after:
  description: Thumbprint under the name of the state, after the task.
  returned: success
  type: dict
  sample: {"staged": "2B94C1000000000000000000000000000011E3AA"}
database:
  description: After a failure of O(state=active), the thumbprints that the database may hold; empty if that is not known.
  returned: failure
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import PosixHost
from ansible_collections.octofleet.octopus.plugins.module_utils._server import hand
from ansible_collections.octofleet.octopus.plugins.module_utils._server.options import ARGUMENTS, REQUIRED_IF


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, required_if=REQUIRED_IF, supports_check_mode=True)
    try:
        module.exit_json(changed=False, **hand.answer(PosixHost(), module.params))
    except OctoError as error:
        module.fail_json(msg=error.message, **error.evidence)


if __name__ == "__main__":
    main()
