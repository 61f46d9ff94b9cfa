#!/usr/bin/python
# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: octo_certificate
short_description: Back up, stage and activate the certificate of an Octopus Server or of a Tentacle
version_added: 0.1.0
author:
  - the octofleet.octopus authors (@octofleet)
description:
  - Keeps the PFX files of a rotation in a private folder on the host, each encrypted (AES-256, leaf and key only) with O(backup_password), and
    brings one of them into the Octopus Server's database or into a Tentacle's configuration.
  - What the vendor's tool says is not believed. The certificate in a database is read by exporting it, the one in a Tentacle's configuration by
    decrypting it on the controller, before and after an import.
  - The user's passwords stay on the controller. The vendor's tool, which takes a password on its command line only, gets a one-use password
    for a file in a private folder that is gone afterwards.
  - Nothing is restarted. Until its restart, a process presents the certificate that it loaded at its start.
  - The vendor's tool cannot export a Tentacle's certificate, and its reading commands leave the key in the certificate store of whoever runs them.
    So it is read from the configuration file. No process of the vendor is started for that.
  - An import into a Tentacle waits for other commands of the vendor that work on the same configuration, leaves a copy of the configuration beside
    it, and puts it back if the import tears the file or changes anything but the certificate.
  - The vendor's commands run as the account that the task runs as, and with its own home, so no foreign file gets into the certificate store of
    another account. What remains is that each of them writes to the Tentacle's C(Logs) folder, and the first one of a day makes a new file there;
    where the service runs as another account, see that it can still write to it.
  - After O(state=active) with O(application=tentacle), restart the Tentacle with M(octofleet.octopus.octo_service) and change the thumbprint in the
    Server's record right after, which no module of this version does; from the restart until then the Server works with it no more. A Tentacle
    that does not listen shows its certificate to nobody here, so V(restarted) is the state to ask for.
  - One task at a time works on a store, seen from one controller. A second one, such as that of a run beside the workers that a killed run left,
    waits as long as O(timeout) says and is then refused.
  - Refused under E(ANSIBLE_DEBUG), which shows whatever modules are given and answer, unless nothing secret has to travel. C(-vvvv) shows nothing
    secret.
options:
  application:
    description: Whose certificate.
    type: str
    required: true
    choices: [server, tentacle]
  state:
    description:
      - V(backed_up) means that the store has a PFX of O(thumbprint) that opens and has its key; if not, it is exported from the database, or read
        from the Tentacle's configuration.
      - V(staged) means that the store has the one certificate that will replace O(replaces). Running again never makes a second one.
      - V(active) means that O(thumbprint) is in the Server's database or the Tentacle's configuration. An import that leads to anything but
        O(thumbprint) or O(replaces) is undone at once by importing O(replaces) again, which must therefore be in the store. Needs O(permit) or
        O(unguarded).
    type: str
    required: true
    choices: [backed_up, staged, active]
  thumbprint:
    description:
      - Thumbprint, 40 hex digits, letter case ignored.
      - For O(state=backed_up), the certificate that the nodes of the Server present. With O(application=tentacle) optional, the one that the
        Tentacle has.
      - For O(state=staged), optional, the certificate to adopt, if the store has it already; this is how a roll-back adopts a backup.
      - For O(state=active), the certificate to import.
    type: str
  replaces:
    description:
      - Thumbprint of the certificate to be retired. Needed for O(state=staged) and O(state=active).
      - With O(application=tentacle) it is what the Tentacle has, or had before this certificate was replaced.
    type: str
  source:
    description:
      - Where a certificate comes from that is not staged yet.
      - V(vendor) is C(Octopus.Server new-certificate) or C(Tentacle new-certificate) on the host, into a file; V(pfx) is O(pfx); and V(generated)
        is made on the controller with the same properties as the vendor's (RSA 2048, SHA-256, self-signed, a hundred years).
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
      - Thumbprints that are known to be trusted by no Tentacle; with O(application=tentacle), that no Server has on record.
      - Only such a staged certificate is deleted when it cannot be opened or when another one is to be staged in its place.
    type: list
    elements: str
    default: []
  store:
    description:
      - Folder on the host, for its owner only (0700). It holds V(<thumbprint>.pfx) and, for people, V(<thumbprint>.json).
      - The Tentacle instances of a host share it.
      - Without it V(/var/lib/octopus-rotation), on Windows V(C:\\ProgramData\\OctopusRotation), where it is made for the system and
        administrators only, and refused if anybody else but the account of the task has a right on it or on a file in it.
    type: path
  backup_password:
    description: Password of all PFX files in O(store) and O(backup_dir). Needed for every state. It stays on the controller.
    type: str
  backup_dir:
    description: Folder on the controller that gets a copy of the PFX, for its owner only.
    type: path
  instance:
    description:
      - Name of the Octopus Server's instance on the node, or of the Tentacle instance. Without it V(OctopusServer) or V(Tentacle).
      - With O(application=tentacle) also V(*). For O(state=backed_up) it means all instances of the host; one that goes wrong does not keep the
        others from being backed up. For the other states it means the one whose certificate is O(replaces) or, on a second run, the new one;
        clones, which have the same certificate, must be named, and get the same new one from the store that they share.
    type: str
  executable:
    description:
      - Program and leading arguments that reach the vendor's tool, such as V([docker, exec, octopus, /Octopus/Octopus.Server]).
      - Without it V([/Octopus/Octopus.Server]) or V([/opt/octopus/tentacle/Tentacle]); on Windows C(Octopus.Server.exe) in the folder that the
        vendor's installer has left in the registry, or else in V(C:\\Program Files\\Octopus Deploy\\Octopus).
    type: list
    elements: str
  machine_configuration_home:
    description:
      - Parent of the index C(Tentacle/Instances) of the Tentacle instances.
      - Handed on to the vendor's commands as their own variable C(TentacleMachineConfigurationHomeDirectory).
    type: path
    default: /etc/octopus
  machine_id_file:
    description: File with the machine id under which the Tentacle's certificate is encrypted.
    type: path
    default: /etc/machine-id
  copy_in:
    description:
      - For a Server in a container, program and arguments that copy C({src}) of the host to C({dest}) of the container, such as
        V([docker, cp, "{src}", "octopus:{dest}"]). Not on Windows.
    type: list
    elements: str
  copy_out:
    description: The same in the other direction, such as V([docker, cp, "octopus:{src}", "{dest}"]). Needed together with O(copy_in).
    type: list
    elements: str
  timeout:
    description:
      - After how many seconds a single run of the vendor's tool, or the wait for another run, is given up.
      - On Windows it is the connection that gives up a run of the vendor's tool.
    type: int
    default: 300
  permit:
    description:
      - The permit that M(octofleet.octopus.octo_rotation) registered. Needed for O(state=active), unless O(unguarded=true).
      - No gate issues one for the certificate of a Tentacle, so it is refused with O(application=tentacle).
    type: dict
  unguarded:
    description:
      - Says that O(state=active) is wanted without a rotation that proved that every Tentacle trusts O(thumbprint).
      - With O(application=tentacle), that the Server's record of the Tentacle will be changed after its restart.
    type: bool
    default: false
  hand:
    description: Internal. What the action asks of the module on the host; a task that sets it is refused.
    type: dict
    suboptions:
      verb:
        description: What to do.
        type: str
        required: true
        choices: [instances, entries, inspect, put, drop, export, generate, replace, note, notes, forget]
      thumbprint:
        description: Which certificate.
        type: str
      nodes:
        description: Names of Server nodes, to be noted as drained or forgotten.
        type: list
        elements: str
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
  - octofleet.octopus.attributes.actiongroup_tentacle
attributes:
  check_mode:
    support: full
    details: >-
      Reads the store and Tentacle configurations, exports, generates and imports nothing, and says what would be done. Whether a database holds
      O(thumbprint) already is not looked up. Needs no O(permit).
  diff_mode:
    support: full
    details: Shows the thumbprint that is backed up, staged or active, before and after.
  platform:
    platforms: posix, windows
    support: partial
    details: >-
      The keys of Tentacles on Linux only. Windows nodes of an Octopus Server are reached through the collection C(ansible.windows), which must be
      installed on the controller. The account of the connection itself must be an administrator there, and the vendor's tool needs a loaded profile,
      as C(become) with C(runas) has.
requirements:
  - cryptography (on the controller)
seealso:
  - module: octofleet.octopus.octo_rotation
  - module: octofleet.octopus.octo_service
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

- name: Back up the certificates of all Tentacle instances of a host
  octofleet.octopus.octo_certificate:
    application: tentacle
    state: backed_up
    instance: "*"
    backup_password: "{{ vault_octopus_backup_password }}"
  become: true

- name: Bring what was staged into a Tentacle
  octofleet.octopus.octo_certificate:
    application: tentacle
    state: active
    thumbprint: "{{ staged.certificate.thumbprint }}"
    replaces: 1C02A90000000000000000000000000000B77F20
    backup_password: "{{ vault_octopus_backup_password }}"
    unguarded: true
  become: true

- name: Let it present that, before its record in the Server is changed
  octofleet.octopus.octo_service:
    instance: Tentacle
    state: restarted_if_stale
  become: true
"""

RETURN = r"""
instances:
  description: One row for each instance that was asked for, in the order of the index; for an Octopus Server one.
  returned: unless the task itself was refused
  type: list
  elements: dict
  contains:
    instance:
      description: Its name.
      type: str
    configuration:
      description: Its configuration file, symbolic links followed. Only with O(application=tentacle).
      type: str
    ok:
      description: Whether its certificate is as it was asked for.
      type: bool
    changed:
      description: Whether anything was done for it.
      type: bool
    code:
      description:
        - Why not, for a program, else empty. Codes are V(INSTANCE_UNKNOWN), V(INDEX_UNREADABLE), V(CONFIGURATION_MISSING),
          V(CONFIGURATION_UNREADABLE), V(IDENTITY_AT_RISK) (no certificate or no thumbprint), V(MACHINE_ID_CHANGED), V(IDENTITY_TORN) (certificate and
          thumbprint contradict each other), V(IDENTITY_UNREADABLE), V(NOT_GENERATED), V(NOT_WRITTEN), V(IN_USE), V(TIMEOUT), V(FAILED).
      type: str
    reason:
      description: Why not, for a person, else empty.
      type: str
    sentence:
      description: What was done, for a person.
      type: str
    certificate:
      description: As the result's C(certificate).
      type: dict
    before:
      description: As the result's C(before).
      type: dict
    after:
      description: As the result's C(after).
      type: dict
certificate:
  description: The certificate that is backed up, staged or active; V(null) for one that does not exist yet (check mode).
  returned: when there is one row
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
      description: Its PFX on the host.
      type: str
before:
  description: Thumbprint under the name of the state, before the task; V(null) if there was none.
  returned: when there is one row
  type: dict
  sample: {"staged": null}
after:
  description: Thumbprint under the name of the state, after the task.
  returned: when there is one row
  type: dict
  sample: {"staged": "2B94C1000000000000000000000000000011E3AA"}
holds:
  description: After a failure, the thumbprints that the database or the configuration may hold; empty if that is not known. Also in the row.
  returned: on some failures, when there is one row
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import PosixHost
from ansible_collections.octofleet.octopus.plugins.module_utils._keys import hand
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.options import ARGUMENTS, REQUIRED_IF


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, required_if=REQUIRED_IF, supports_check_mode=True)
    try:
        module.exit_json(changed=False, **hand.answer(PosixHost(), module.params))
    except OctoError as error:
        module.fail_json(msg=error.message, **error.evidence)


if __name__ == "__main__":
    main()
