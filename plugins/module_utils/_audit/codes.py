# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The table of finding codes (design/audit.md, "Findings"). Codes are an interface: they never change meaning.

The pages of the documentation are made from this table.
"""

from __future__ import annotations

from typing import Dict, NamedTuple

CRITICAL, WARNING, INFO = SEVERITIES = ("critical", "warning", "info")


class Code(NamedTuple):
    """One kind of finding. ``needs``: the sources without which it is not judged. ``remedy``: what to run, with the values of the finding in braces."""

    name: str
    severity: str
    title: str
    needs: str
    meaning: str
    remedy: str


_TABLE = (
    Code(
        "LOCKED_OUT",
        CRITICAL,
        "A node presents a certificate that the running Tentacle does not accept",
        "wire with a Server PFX, or wire and process",
        "The Server cannot work with this Tentacle now. Either its trust was never extended to the certificate that the node presents, or it was and "
        "its service was not restarted since.",
        "Let it trust {certificate} and restart it: "
        "`ansible {host} -m octofleet.octopus.octo_trust -a 'instance={instance} thumbprints={certificate} state=present{twin}'`",
    ),
    Code(
        "LOCKED_OUT_AFTER_RESTART",
        CRITICAL,
        "The Tentacle's configuration does not trust a certificate that a node presents, or will present",
        "disk, and wire or database",
        "The running process may still accept the Server, but the next restart (an update, a reboot) takes that away. Where the database holds "
        "another certificate than the nodes present, the next restart of a node does.",
        "Let it trust {certificate} before anything restarts: "
        "`ansible {host} -m octofleet.octopus.octo_trust -a 'instance={instance} thumbprints={certificate} state=present{twin}'`",
    ),
    Code(
        "UNCHECKED_TRUST",
        CRITICAL,
        "Whoever comes is let in: a random certificate was accepted, or none at all",
        "wire with a Server PFX",
        "A Tentacle accepts only certificates that it pins. If a certificate made a second ago is accepted, either it is no Tentacle, or something "
        "between accepts for it, or its check was patched away. Anybody who reaches the port can run commands.",
        "Close the port {endpoint} to everybody but the Server, then find out what answers there.",
    ),
    Code(
        "OLD_KEY_IN_USE",
        CRITICAL,
        "A retired Server certificate is presented",
        "wire, and octopus_retired_thumbprints",
        "The certificate was declared retired, yet somebody holds its key and uses it: a node that was not restarted, a Server restored from an old "
        "backup, or a thief.",
        "Find out what runs at {endpoint}. If it is a node of yours, let it take over the present certificate and restart it; if not, remove that pin "
        "(octofleet.octopus.octo_trust state=absent) from all Tentacles that trust another certificate of yours, at once.",
    ),
    Code(
        "SHARED_PIN",
        CRITICAL,
        "Two Servers present one certificate",
        "wire, and octopus_known_servers",
        "Servers that share a certificate share every Tentacle that trusts either of them, as a Server cloned with its database does.",
        "Give one of the two Servers a certificate of its own: playbook octofleet.octopus.rotate_server_certificate against it.",
    ),
    Code(
        "TWIN_CERT",
        CRITICAL,
        "Two Tentacles present one certificate",
        "wire or disk",
        "The machines were cloned with the Tentacle's key in the image. The Server cannot tell them apart, and whoever takes one has the identity of "
        "all. The service account's key, too, is the same on each.",
        "If they are two machines: give each but one a certificate of its own (Tentacle new-certificate, then the record's thumbprint on the "
        "Server), and take the key out of "
        "the image.",
    ),
    Code(
        "KEY_EXPOSED",
        WARNING,
        "Any local user can read the configuration, and with it the private key",
        "disk, on Linux",
        "A default installation leaves the configuration readable by everybody. The key in it is encrypted with the machine id, which everybody can "
        "read as well.",
        "Take it from others, on each host that is named: `ansible <host> -m ansible.builtin.file -a 'path=<configuration> mode=o-rwx'`",
    ),
    Code(
        "STALE_RECORD",
        CRITICAL,
        "The Server has another thumbprint on record than the Tentacle has",
        "database, and wire or disk",
        "The Server refuses a Tentacle that presents another certificate than its record names: the Tentacle was installed anew or got a new "
        "certificate, or another machine answers at its address.",
        "Make sure that {endpoint} is the right machine; then {how}.",
    ),
    Code(
        "RESTART_PENDING",
        WARNING,
        "The running process does not work with what its configuration says",
        "process, or wire and disk",
        "The configuration was changed and the service not restarted since. The change takes effect at the next restart, whenever that is.",
        "{how}: `ansible {host} -m octofleet.octopus.octo_service -a 'instance={instance} state={state}'`",
    ),
    Code(
        "GHOST_PIN",
        WARNING,
        "It trusts a certificate that no known Server presents",
        "disk, wire, and octopus_known_servers",
        "Whoever holds the key of that certificate can run commands on this machine. Often it is what a rotation or a migration left behind.",
        "If its Server is known, name it in octopus_known_servers; if a rotation is under way, its PFX in octopus_audit_pfx. If nobody answers for it, "
        "remove it: `ansible {host} -m octofleet.octopus.octo_trust -a 'instance={instance} thumbprints={certificate} state=absent unguarded=true'`",
    ),
    Code(
        "MISSING_NODE",
        WARNING,
        "A polling Tentacle does not poll all of the Server's nodes",
        "disk, and the nodes' addresses in the inventory",
        "Work that such a node starts does not reach the Tentacle.",
        "Let it poll {node} too, on {host}: `Tentacle poll-server --instance={instance} --server-comms-address=https://{endpoint} "
        "--reuse-server-thumbprint`, then restart it.",
    ),
    Code(
        "DUPLICATE_ENTRY",
        WARNING,
        "One thumbprint stands twice in one place",
        "disk",
        "It does no harm until the vendor's tool has to change it: then its commands fail.",
        "Leave one of them: `ansible {host} -m octofleet.octopus.octo_trust -a 'instance={instance} thumbprints={certificate} state=present'`",
    ),
    Code(
        "NON_CANONICAL",
        WARNING,
        "A pin is in lower case, or has spaces or invisible characters in it",
        "disk",
        "A Tentacle that polls compares by character, so such a pin never matches. One that listens ignores case, but the vendor's tool does not find "
        "the pin when it is to be removed.",
        "Spell it anew: `ansible {host} -m octofleet.octopus.octo_trust -a 'instance={instance} thumbprints={certificate} state=present'`",
    ),
    Code(
        "BLANK_PIN",
        WARNING,
        "A trust entry has no thumbprint",
        "disk",
        "It lets nobody in; it is left of a registration that broke off.",
        "Remove the entry from {configuration} by hand, and restart the Tentacle: no command changes a configuration that has such an entry.",
    ),
    Code(
        "IDENTITY_AT_RISK",
        CRITICAL,
        "The Tentacle's certificate is missing from its configuration",
        "disk",
        "The running process still has it. At the next start the Tentacle makes itself a new one, which no Server knows.",
        "Do not restart it. Restore {configuration} from a copy.",
    ),
    Code(
        "DOWN_AFTER_RESTART",
        CRITICAL,
        "After its next restart the Tentacle would not work",
        "disk",
        "The running process works, but what it was started from is gone: the machine id that its key is encrypted with has changed, the program is not "
        "there, the certificate store belongs to another account, or another process holds its port.",
        "Do not restart it before what is named is repaired. Whether it is: "
        "`ansible {host} -m octofleet.octopus.octo_instance_info -a 'instance={instance}'`",
    ),
    Code(
        "KEY_COPIES",
        INFO,
        "Old private keys lie in the service account's certificate store",
        "disk, on Linux",
        "The vendor's programs never remove a key that they put there. Each also makes every start slower, by some 40 milliseconds.",
        "When the Tentacle is stopped, remove all but its present certificate from the store of the account that runs it.",
    ),
    Code(
        "WEAK_CERT",
        WARNING,
        "A certificate is signed with SHA-1, or has an RSA key under 2048 bits",
        "wire or database",
        "Current Servers on Linux refuse SHA-1, and current TLS libraries refuse to present short keys.",
        "Make it a new certificate on {host} (Tentacle new-certificate --instance={instance}), set the record's thumbprint on the Server, then restart "
        "it at once.",
    ),
    Code(
        "RECORD_DISABLED",
        INFO,
        "The Server has it disabled",
        "database",
        "Deployments leave it out. It counts in a rotation all the same: once enabled again, it has to trust the Server.",
        "Enable {record} on the Server, or delete it if the machine is gone.",
    ),
    Code(
        "RECORD_UNHEALTHY",
        WARNING,
        "The Server's last health check of it failed",
        "database",
        "As the Server says; what keeps it may be named by another finding.",
        "Run octofleet.octopus.octo_health_check for {record}, and read what it says.",
    ),
    Code(
        "SEVERAL_RECORDS",
        INFO,
        "One Tentacle has several records",
        "database",
        "It is a target in several spaces, or target and worker. A change of its certificate has to reach all of them.",
        "Nothing to do; keep them together when its certificate changes.",
    ),
    Code(
        "ORPHAN_TENTACLE",
        WARNING,
        "A Tentacle on a host is in no record of the Server",
        "disk and database, of all spaces",
        "It runs, trusts somebody, and nobody looks after it.",
        "First make sure that the API key sees every space (octopus_spaces). Only then register it with the Server, or remove it: "
        "`Tentacle service --instance={instance} --stop --uninstall`, then `Tentacle delete-instance --instance={instance}` on {host}.",
    ),
    Code(
        "UNMANAGED_TENTACLE",
        WARNING,
        "A Tentacle on record is on no host of the inventory",
        "disk and database",
        "Nothing that is run over the inventory reaches it; a rotation would cut it off.",
        "Add its host to the group octopus_tentacles, or delete {record} on the Server if the machine is gone.",
    ),
    Code(
        "WSS_PIN",
        INFO,
        "It polls over a WebSocket",
        "disk",
        "There the Server presents its web certificate: a pin follows that one, not the Server certificate.",
        "Nothing to do in a rotation of the Server certificate; mind it when the web certificate is renewed.",
    ),
    Code(
        "NOT_COVERED",
        INFO,
        "It is on record and no Tentacle on a host",
        "database",
        "SSH targets, cloud regions and the like know no Tentacle certificate. A Kubernetes agent pins the Server certificate, and is a blocker in a "
        "rotation.",
        "Nothing to do for the audit; Kubernetes agents are changed by their Helm chart.",
    ),
    Code(
        "NOT_SWITCHABLE",
        INFO,
        "A rotation could not extend its trust today",
        "disk or database",
        "A rotation would stop before the switch because of it. The reason names what to repair.",
        "Repair what is named, or leave it behind with a reason when you rotate (octopus_leave_behind).",
    ),
    Code(
        "UNREACHABLE",
        WARNING,
        "A source could not be read",
        "any",
        "What that source would have told is not known, and was not judged.",
        "Make it answer, then audit again.",
    ),
    Code(
        "DELETION_RISK",
        WARNING,
        "A machine policy deletes unavailable machines sooner than a rotation could take",
        "database",
        "A Tentacle that is away for that long during a rotation loses its record.",
        "Set the policy {name} of space {space} to delete later, or never, before a rotation (octopus_rotation_takes says how long one may take).",
    ),
    Code(
        "SOURCES_DISAGREE",
        WARNING,
        "Two sources contradict each other, and no restart explains it",
        "two sources of the same thing",
        "One of them lies: something answers in the Tentacle's place, the configuration of another instance was read, a file was touched without a "
        "change, a clock moved, or a node was not restarted after an import. What rests on the disputed fact is not judged.",
        "Find out which of the two is right before anything is changed here.",
    ),
    Code(
        "AMBIGUOUS_MATCH",
        WARNING,
        "A record fits more than one Tentacle, and none for certain",
        "disk and database",
        "Records and Tentacles are put together by subscription, address and certificate. Here these name several.",
        "Give the right host the record's address in octopus_addresses, or add the host of a clone to the inventory.",
    ),
    Code(
        "ACCEPTANCE_EXPIRED",
        WARNING,
        "A finding was accepted until a day that is past, and still stands",
        "none",
        "Somebody decided to live with it for a time, and that time is over.",
        "Repair it, or accept it anew with a reason and a later date.",
    ),
)
CODES: Dict[str, Code] = {code.name: code for code in _TABLE}
