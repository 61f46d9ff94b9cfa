# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each finding of design/audit.md at least once, and once one step below its threshold; what follows from a plant by the same words is told, too."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lab.fleet.builder import Fleet
from lab.fleet.plan import FOREIGN, MAIN, Tentacle, Trust
from lab.planting import acts
from lab.planting.garden import Garden
from lab.tentacle import configuration as keys
from lab.wire.certificates import Keypair, make_certificate
from lab.wire.listener import Listener

Seed = Callable[[Garden], None]
ROTATION_TAKES = 3600  # seconds: octopus_rotation_takes, as it is when nobody sets it

_OURS, _FOREIGN = Trust(), Trust(FOREIGN)
_INVISIBLE = "\u200e"  # left-to-right mark: what a thumbprint copied out of Windows' certificate window begins with


def _pin(keypair: Keypair) -> Trust:
    return Trust(thumbprint=keypair.thumbprint)


def _nobodys() -> str:
    return secrets.token_hex(20).upper()


def _invisible(thumbprint: str) -> str:
    return _INVISIBLE + thumbprint


def _in_pairs(thumbprint: str) -> str:
    return " ".join(re.findall("..", thumbprint))


# -- who lets whom in


def _locked_out(garden: Garden) -> None:
    garden.plan.need_foreign()
    both = "LOCKED_OUT LOCKED_OUT_AFTER_RESTART"
    never = garden.host("never-trusted", trust=[_FOREIGN], known=True)
    garden.tell(never, both, why="our Server has a record of it, and it trusts the second Server only, in memory and on disk")
    nobody = garden.host("trusts-nobody", trust=[], known=True)
    garden.tell(nobody, both, why="its list is empty, in memory and on disk")
    healed = garden.host("healed-on-disk", trust=[_FOREIGN], known=True)
    garden.after(acts.trust_on_disk(garden.plan, healed, [_FOREIGN, _OURS]))
    garden.tell(healed, "LOCKED_OUT RESTART_PENDING", near="LOCKED_OUT_AFTER_RESTART", why="our pin came onto its disk after its start")
    harmed = garden.host("harmed-on-disk", trust=[_OURS, _FOREIGN])
    garden.after(acts.trust_on_disk(garden.plan, harmed, [_FOREIGN]))
    garden.tell(harmed, "LOCKED_OUT_AFTER_RESTART RESTART_PENDING", near="LOCKED_OUT", why="our pin went from its disk after its start")
    beside = garden.host("pins-two-servers", trust=[_FOREIGN, _OURS])
    garden.tell(beside, near="LOCKED_OUT LOCKED_OUT_AFTER_RESTART GHOST_PIN", why="the second Server's pin stands beside ours, before it")


def _locked_out_polling(garden: Garden) -> None:
    garden.plan.need_foreign()
    ghost = _nobodys()
    never = garden.host("poll-never-trusted", polling=True, known=True)
    never.trust = [replace(each, thumbprint=ghost) for each in never.trust]
    why = "it polls both nodes and expects a certificate there that nobody has"
    garden.tell(never, "LOCKED_OUT LOCKED_OUT_AFTER_RESTART GHOST_PIN", near="MISSING_NODE", why=why, pins=(ghost,))
    harmed = garden.host("poll-harmed-on-disk", polling=True)
    garden.after(acts.trust_on_disk(garden.plan, harmed, [replace(each, server=FOREIGN) for each in harmed.trust]))
    garden.tell(
        harmed, "LOCKED_OUT_AFTER_RESTART RESTART_PENDING", near="LOCKED_OUT", why="on disk it expects the second Server's certificate at our nodes"
    )
    garden.noisy.append(never)


def _unchecked_trust(garden: Garden) -> None:
    door = garden.host("open-door", quirk=["open_door"])
    garden.tell(door, "UNCHECKED_TRUST", near="LOCKED_OUT", why="it accepts every certificate, and none")
    shut = garden.host("many-pins", trust=[_OURS, _FOREIGN])
    garden.plan.need_foreign()
    garden.tell(shut, near="UNCHECKED_TRUST", why="it accepts two Servers, and nobody else")


def _other_servers(garden: Garden) -> None:
    """Beside ours and the second one: a copy of ours, one with a retired certificate, and one that is known by a thumbprint only."""
    presented, forgotten, declared = garden.keys.server(), garden.keys.server(), garden.keys.server()
    garden.retired += [presented, forgotten]
    garden.plan.need_foreign()
    places = {name: garden.plan.front_address() for name in ("dr", "clone", FOREIGN)}
    port = garden.plan.server(MAIN).nodes[0].comms_port
    _present(garden, "dr", places["dr"], port, lambda fleet: fleet.server.certificate)
    _present(garden, "clone", places["clone"], port, lambda _fleet: presented)
    _present(garden, FOREIGN, places[FOREIGN], port, lambda fleet: fleet.foreign_server.certificate)
    garden.known["elsewhere"] = [declared.thumbprint]

    def speak_of_servers(fleet: Fleet) -> None:
        ours, foreign = fleet.server.certificate, fleet.foreign_server.certificate
        where = ("dr", f"{places['dr']}:{port}")
        garden.tell(ours, "SHARED_PIN", near="OLD_KEY_IN_USE", why="our nodes present it, and so does the Server called dr", names=where)
        garden.tell(foreign, near="SHARED_PIN OLD_KEY_IN_USE", why="two endpoints present it, of one Server", names=(FOREIGN,))

    garden.after(speak_of_servers)
    where = ("clone", f"{places['clone']}:{port}")
    garden.tell(presented, "OLD_KEY_IN_USE", why="it is retired, and the Server called clone presents it", names=where)
    garden.tell(forgotten, near="OLD_KEY_IN_USE", why="it is retired and still pinned, and nobody presents it")
    pins = garden.host("pins-retired", trust=[_OURS, _pin(forgotten)])
    garden.tell(pins, "GHOST_PIN", near="OLD_KEY_IN_USE", why="it trusts a retired certificate that nobody presents", pins=(forgotten.thumbprint,))
    old = garden.host("pins-retired-presented", trust=[_OURS, _pin(presented)])
    garden.tell(old, near="GHOST_PIN", why="it trusts a retired certificate that a known Server presents", pins=(presented.thumbprint,))
    told = garden.host("pins-declared", trust=[_OURS, _pin(declared)])
    garden.tell(told, near="GHOST_PIN", why="it trusts a Server that is known by its thumbprint only", pins=(declared.thumbprint,))


def _present(garden: Garden, name: str, address: str, port: int, keypair: Callable[[Fleet], Keypair]) -> None:
    """A port for polling Tentacles that nobody polls."""

    def make(fleet: Fleet) -> Listener:
        listener = Listener(address, port, keypair(fleet), frozenset())
        listener.start()
        return listener

    garden.plan.fronts.append(make)
    garden.known[name] = [f"{address}:{port}"]


# -- the list of trusted Servers


def _ghost_pin(garden: Garden) -> None:
    ghost = _nobodys()
    garden.tell(
        garden.host("ghost-pin", trust=[_OURS, Trust(thumbprint=ghost)]),
        "GHOST_PIN",
        near="RESTART_PENDING",
        why="it trusts a thumbprint that nobody presents, in memory and on disk",
        pins=(ghost,),
    )
    polling = garden.host("poll-ghost-pin", polling=True)
    polling.trust.append(Trust(thumbprint=ghost))
    garden.tell(polling, "GHOST_PIN", near="MISSING_NODE", why="beside its polling entries it trusts the same thumbprint of nobody", pins=(ghost,))


def _missing_node(garden: Garden) -> None:
    garden.plan.need_foreign()
    one = garden.host("poll-one-node", polling=True)
    del one.trust[1:]
    garden.tell(one, "MISSING_NODE", near="LOCKED_OUT", why="it polls node-1 only")
    every = garden.host("poll-all-nodes", polling=True)
    garden.tell(every, near="MISSING_NODE DUPLICATE_ENTRY WSS_PIN", why="it polls both nodes, with one thumbprint")
    foreign = garden.host("poll-two-servers", polling=True)
    garden.plan.trust_foreign(foreign, polling=True)
    garden.tell(foreign, near="MISSING_NODE GHOST_PIN", why="it polls both nodes, and the only one of the second Server")
    mixed = garden.host("polls-the-second-server")
    garden.plan.trust_foreign(mixed, polling=True)
    garden.tell(mixed, near="MISSING_NODE", why="it listens to our Server, and polls the second one")


def _entries(garden: Garden) -> None:
    garden.plan.need_foreign()
    garden.tell(garden.host("pin-twice", trust=[_OURS, _OURS]), "DUPLICATE_ENTRY", why="our pin stands there twice")
    lower = replace(_OURS, lower=True)
    why = "our pin stands there in upper and in lower case, which is the same place to the vendor's tool"
    garden.tell(garden.host("pin-twice-odd", trust=[_OURS, lower]), "DUPLICATE_ENTRY NON_CANONICAL", near="LOCKED_OUT", why=why)
    twice = garden.host("poll-twice", polling=True)
    twice.trust.append(replace(twice.trust[0], address=f"{twice.trust[0].address}/"))
    garden.tell(twice, "DUPLICATE_ENTRY", near="MISSING_NODE", why="two entries for node-1 whose addresses differ in the last slash only")
    both = garden.host("poll-and-listed", polling=True)
    both.trust.append(_OURS)
    garden.tell(both, near="DUPLICATE_ENTRY", why="our pin stands there as a polling and as a listening one: two places")
    blank = replace(_OURS, spelling=lambda _thumbprint: "")
    why = "an entry has no thumbprint, and whether a rotation writes beside it is its own decision"
    garden.tell(garden.host("pin-blank", trust=[_OURS, blank]), "BLANK_PIN", near="GHOST_PIN NON_CANONICAL", arguable="NOT_SWITCHABLE", why=why)
    garden.tell(garden.host("pin-upper"), near="BLANK_PIN NON_CANONICAL DUPLICATE_ENTRY", why="one pin in upper case, as the vendor writes it")


def _spellings(garden: Garden) -> None:
    garden.plan.need_foreign()
    lower = garden.host("pin-lower", trust=[replace(_OURS, lower=True)])
    garden.tell(lower, "NON_CANONICAL", near="LOCKED_OUT LOCKED_OUT_AFTER_RESTART GHOST_PIN", why="a listening Tentacle ignores the case of its pin")
    polling = garden.host("poll-lower", polling=True)
    polling.trust = [replace(each, lower=True) for each in polling.trust]
    never = "LOCKED_OUT LOCKED_OUT_AFTER_RESTART NON_CANONICAL"
    garden.tell(polling, never, near="MISSING_NODE GHOST_PIN", why="a polling Tentacle's pin in lower case never matches")
    garden.noisy.append(polling)
    marked = garden.host("pin-invisible", trust=[replace(_OURS, spelling=_invisible)])
    garden.tell(marked, never, arguable="GHOST_PIN", why="its only pin is ours behind an invisible character, which never matches")
    beside = garden.host("pin-invisible-beside", trust=[_OURS, replace(_FOREIGN, spelling=_invisible)])
    garden.tell(beside, "NON_CANONICAL", near="LOCKED_OUT", arguable="GHOST_PIN", why="the second Server's pin begins with an invisible character")
    spaced = garden.host("pin-spaced", trust=[_OURS, replace(_FOREIGN, spelling=_in_pairs)])
    garden.tell(spaced, "NON_CANONICAL", near="LOCKED_OUT", arguable="GHOST_PIN", why="the second Server's pin has spaces")


def _web_sockets(garden: Garden) -> None:
    web = garden.keys.server().thumbprint
    too = garden.host("wss-too", quirk=["websocket_entry"])
    pinned = tuple(each.thumbprint for each in too.trust if each.thumbprint)
    garden.tell(too, "WSS_PIN", near="GHOST_PIN NOT_SWITCHABLE", why="beside our listening pin it has one of a web certificate", pins=pinned)
    only = garden.host("wss-only", polling=True, known=True)
    nodes = garden.plan.server(MAIN).nodes
    only.trust = [
        replace(each, address=f"wss://{node.address}:443/OctopusComms", thumbprint=web) for each, node in zip(only.trust, nodes, strict=True)
    ]
    why = "it is reached through WebSockets only, and pins the web certificate, which no rotation of the Server certificate has to expand"
    garden.tell(only, "WSS_PIN", near="GHOST_PIN MISSING_NODE LOCKED_OUT", arguable="NOT_SWITCHABLE", why=why, pins=(web,))


# -- what is pending


def _pending(garden: Garden) -> None:
    garden.plan.need_foreign()
    pin = garden.host("pin-pending")
    garden.after(acts.trust_on_disk(garden.plan, pin, [_OURS, _FOREIGN]))
    garden.tell(pin, "RESTART_PENDING", near="LOCKED_OUT LOCKED_OUT_AFTER_RESTART", why="the second Server's pin came onto its disk after its start")
    fresh = garden.host("certificate-pending")
    garden.after(acts.certificate_on_disk(fresh, garden.keys.tentacle()))
    garden.tell(fresh, "RESTART_PENDING", near="STALE_RECORD KEY_COPIES", why="a new certificate is on its disk; it presents the one of its record")
    done = garden.host("restarted")
    garden.after(acts.trust_on_disk(garden.plan, done, [_OURS, _FOREIGN]))
    garden.after(acts.restart(done))
    garden.tell(done, near="RESTART_PENDING", why="it was restarted after its configuration had changed")


# -- hosts that play Windows


def _windows(garden: Garden) -> None:
    """What is read from a disk, read from one of Windows."""
    garden.plan.need_foreign()
    ghost = _nobodys()
    ghostly = garden.windows("win-ghost-pin", trust=[_OURS, Trust(thumbprint=ghost)])
    why = "a Windows; it trusts a thumbprint that nobody presents, in memory and on disk"
    garden.tell(ghostly, "GHOST_PIN", near="RESTART_PENDING", why=why, pins=(ghost,))
    garden.tell(garden.windows("win-two-servers", trust=[_OURS, _FOREIGN]), near="GHOST_PIN", why="a Windows; it trusts the second Server, too")
    twice = garden.windows("win-pin-twice", trust=[_OURS, _OURS])
    garden.tell(twice, "DUPLICATE_ENTRY", near="LOCKED_OUT NON_CANONICAL", why="a Windows; our pin stands there twice")
    lower = garden.windows("win-pin-lower", trust=[replace(_OURS, lower=True)])
    garden.tell(lower, "NON_CANONICAL", near="LOCKED_OUT LOCKED_OUT_AFTER_RESTART", why="a Windows that listens, which ignores the case of its pin")
    garden.tell(garden.windows("win-pin-upper"), near="DUPLICATE_ENTRY NON_CANONICAL BLANK_PIN", why="a Windows; one pin, as the vendor writes it")
    _windows_that_poll(garden)
    pending = garden.windows("win-pin-pending")
    garden.after(acts.trust_on_disk(garden.plan, pending, [_OURS, _FOREIGN]))
    why = "a Windows; the second Server's pin came onto its disk after its start"
    garden.tell(pending, "RESTART_PENDING", near="LOCKED_OUT LOCKED_OUT_AFTER_RESTART", why=why)
    harmed = garden.windows("win-harmed-on-disk", trust=[_OURS, _FOREIGN])
    garden.after(acts.trust_on_disk(garden.plan, harmed, [_FOREIGN]))
    why = "a Windows; our pin went from its disk after its start"
    garden.tell(harmed, "LOCKED_OUT_AFTER_RESTART RESTART_PENDING", near="LOCKED_OUT", why=why)
    done = garden.windows("win-restarted")
    garden.after(acts.trust_on_disk(garden.plan, done, [_OURS, _FOREIGN]))
    garden.after(acts.restart(done))
    garden.tell(done, near="RESTART_PENDING", why="a Windows that was restarted after its configuration had changed")
    # The lab's files have modes of POSIX everywhere; a Windows shows none of them.
    garden.tell(garden.windows("win-mode-0644", mode=0o644), near="KEY_EXPOSED", why="a Windows, where nothing is readable by everybody for its mode")


def _windows_that_poll(garden: Garden) -> None:
    sound = garden.windows("win-poll", polling=True)
    near = "MISSING_NODE DUPLICATE_ENTRY LOCKED_OUT STALE_RECORD"
    garden.tell(sound, near=near, why="a Windows that polls both nodes, with one thumbprint")
    never = garden.windows("win-poll-lower", polling=True)
    never.trust = [replace(each, lower=True) for each in never.trust]
    codes, why = "LOCKED_OUT LOCKED_OUT_AFTER_RESTART NON_CANONICAL", "a Windows that polls; its pin in lower case never matches"
    garden.tell(never, codes, near="MISSING_NODE GHOST_PIN", why=why)
    garden.noisy.append(never)


# -- certificates and keys


def _twins(garden: Garden) -> None:
    first, second = garden.host("twin-a"), garden.host("twin-b", keypair=None)
    second.clone_of = first
    for twin in (first, second):
        garden.tell(twin, "TWIN_CERT", near="SEVERAL_RECORDS STALE_RECORD", why="twin-a and twin-b present one certificate")
    like = garden.keys.tentacle()
    for name in ("like-a", "like-b"):
        other = garden.host(name, keypair=garden.keys.tentacle(key_of=like))
        garden.tell(other, near="TWIN_CERT", why="like-a and like-b have one subject and one key, in two certificates")
    named = garden.host("two-names", quirk=["two_names"])
    garden.tell(named, near="TWIN_CERT SEVERAL_RECORDS", why="the inventory has the machine under a second name")


def _modes(garden: Garden) -> None:
    for mode in (0o644, 0o604):
        garden.tell(garden.host(f"mode-{mode:04o}", mode=mode), "KEY_EXPOSED", why=f"others may read its configuration, mode {mode:04o}")
    for mode in (0o640, 0o641, 0o600):
        garden.tell(garden.host(f"mode-{mode:04o}", mode=mode), near="KEY_EXPOSED", why=f"others may not read its configuration, mode {mode:04o}")


def _identity(garden: Garden) -> None:
    for name, key in (("no-certificate", keys.CERTIFICATE), ("no-thumbprint", keys.THUMBPRINT)):
        loses = garden.host(name)
        garden.after(acts.lose_key(loses, key))
        garden.tell(loses, "IDENTITY_AT_RISK NOT_SWITCHABLE", near="RESTART_PENDING", why=f"its configuration has no {key}; the file is not newer")
    odd = garden.host("unknown-key", quirk=["unknown_key_in_configuration"])
    garden.tell(odd, near="IDENTITY_AT_RISK NOT_SWITCHABLE", why="its configuration has a key too many, and lacks none")
    other = garden.host("other-machine-id", quirk=["other_machine_id"])
    garden.tell(
        other,
        "NOT_SWITCHABLE",
        near="IDENTITY_AT_RISK",
        arguable="DOWN_AFTER_RESTART",
        why="both keys are there, but the machine id is not the one that they were sealed with",
    )


def _copies(garden: Garden) -> None:
    for name, number in (("key-copy", 1), ("key-copies", 4)):
        keeps = garden.host(name)
        garden.after(acts.copies_in_store(keeps, [garden.keys.tentacle() for _each in range(number)]))
        garden.tell(keeps, "KEY_COPIES", why=f"its account's store has {number} more private key(s) than its own")
    garden.tell(garden.host("one-key"), near="KEY_COPIES", why="its account's store has its own private key only")
    elsewhere = garden.host("copies-of-another", quirk=["own_account"])
    garden.after(acts.copies_in_store(elsewhere, [garden.keys.tentacle() for _each in range(2)]))
    garden.tell(elsewhere, near="KEY_COPIES", why="another account's store has private keys; that of its own account has one")


def _weak(garden: Garden) -> None:
    old = garden.host("sha1", keypair=garden.keys.tentacle(sha1=True))
    garden.tell(old, "WEAK_CERT", near="STALE_RECORD", why="its certificate is signed with SHA-1")
    polling = garden.host("poll-sha1", polling=True, keypair=garden.keys.tentacle(sha1=True))
    garden.tell(polling, "WEAK_CERT", why="its certificate is signed with SHA-1; only the Server's record can tell")
    short = garden.host("rsa-1024", keypair=make_certificate(bits=1024))
    garden.plan.faults.setdefault("tentacle_serves_weak_key", []).append(short.id)
    garden.tell(short, "WEAK_CERT", why="its key has 1024 bits, and its OpenSSL was told to serve it")
    garden.tell(garden.host("rsa-2048"), near="WEAK_CERT", why="RSA 2048, SHA-256")
    garden.tell(garden.host("rsa-3072", keypair=make_certificate(bits=3072)), near="WEAK_CERT", why="RSA 3072, SHA-256")


# -- records


def _stale(garden: Garden) -> None:
    stale = garden.host("stale-record")
    garden.after(acts.record_says(stale.host, stale.space, Thumbprint=_nobodys()))
    garden.tell(stale, "STALE_RECORD", near="ORPHAN_TENTACLE UNMANAGED_TENTACLE LOCKED_OUT", why="its record expects another certificate")
    second = garden.host("stale-second", quirk=["second_record"])
    garden.after(acts.record_says(second.host, second.more_spaces[0], Thumbprint=_nobodys()))
    garden.tell(second, "STALE_RECORD SEVERAL_RECORDS", why="the second of its two records expects another certificate")
    polling = garden.host("poll-stale-record", polling=True)
    garden.after(acts.record_says(polling.host, polling.space, Thumbprint=_nobodys()))
    garden.after(acts.restart_in_vain(polling))
    why = "the record of its subscription expects another certificate than its configuration has, and our Server turns it away"
    garden.tell(polling, "STALE_RECORD", near="ORPHAN_TENTACLE UNMANAGED_TENTACLE LOCKED_OUT", why=why)
    garden.noisy.append(polling)
    lower = garden.host("poll-record-lower", polling=True)
    garden.after(acts.record_says(lower.host, lower.space, Thumbprint=lower.thumbprint.lower()))
    garden.after(acts.restart(lower))
    # Of a listening one this would be no near miss: whether a Server calls it then was not measured (octopus-server.md 2.5).
    why = "its record has its own certificate in lower case, which is the same to a Server that is polled"
    garden.tell(lower, near="STALE_RECORD", why=why)
    renamed = garden.host("renamed", record={"Name": "as-it-was-called"})
    garden.tell(renamed, near="STALE_RECORD UNMANAGED_TENTACLE ORPHAN_TENTACLE", why="its record has another name than its host, and is right")


def _health(garden: Garden) -> None:
    garden.plan.need_foreign()
    off = garden.host("disabled", quirk=["disabled_record"])
    garden.tell(off, "RECORD_DISABLED", near="RECORD_UNHEALTHY", why="its record is disabled")
    worker = garden.host("disabled-worker", kind="Workers", quirk=["disabled_record"])
    garden.tell(worker, "RECORD_DISABLED", why="its record as a worker is disabled")
    elsewhere = garden.host("disabled-elsewhere", trust=[_OURS, _FOREIGN])
    garden.after(acts.record_says("disabled-elsewhere", "Default", FOREIGN, IsDisabled=True))
    garden.tell(elsewhere, near="RECORD_DISABLED", why="the second Server's record is disabled, ours is not")
    for status, online in (("Unhealthy", "Online"), ("Unavailable", "Offline")):
        ill = garden.host(status.lower(), record={"HealthStatus": status, "Status": online})
        garden.tell(ill, "RECORD_UNHEALTHY", near="RECORD_DISABLED", why=f"the Server says {status}")
    warned = garden.host("has-warnings", record={"HealthStatus": "HasWarnings", "Status": "Online"})
    garden.tell(warned, near="RECORD_UNHEALTHY", why="the Server says HasWarnings")


def _several(garden: Garden) -> None:
    spaces = garden.host("two-spaces", quirk=["second_record"])
    garden.tell(spaces, "SEVERAL_RECORDS", near="TWIN_CERT", why="it has a record in each of the two spaces")
    too = garden.host("worker-too", quirk=["worker_too"])
    garden.tell(too, "SEVERAL_RECORDS", near="TWIN_CERT", why="it is a deployment target and a worker")
    first = garden.host("two-instances")
    for each in (first, garden.further("second_instance", "two-instances")):
        why = "two Tentacles on one host, each with its record, and both keys in use lie in one store"
        garden.tell(each, near="SEVERAL_RECORDS TWIN_CERT KEY_COPIES", why=why)


def _strays(garden: Garden) -> None:
    garden.plan.need_foreign()
    orphan = garden.host("orphan", quirk=["unrecorded_tentacle"])
    garden.tell(orphan, "ORPHAN_TENTACLE", near="LOCKED_OUT", why="it trusts our Server, which has no record of it")
    foreign = garden.host("foreign-only", trust=[_FOREIGN])
    why = "it serves the second Server only, and our Server has no record of it"
    garden.tell(foreign, near="ORPHAN_TENTACLE LOCKED_OUT LOCKED_OUT_AFTER_RESTART GHOST_PIN", why=why)
    beside = garden.host("beside-foreign")
    stranger = garden.further("foreign_instance", "beside-foreign")
    garden.tell(beside, near="SEVERAL_RECORDS KEY_COPIES", why="beside it an instance serves the second Server, with a key of its own")
    garden.tell(stranger, near="ORPHAN_TENTACLE LOCKED_OUT KEY_COPIES", why="the second instance of a host serves the second Server only")
    for name, polling in (("unmanaged", False), ("poll-unmanaged", True)):
        unknown = garden.host(name, polling=polling, in_inventory=False)
        garden.tell(unknown, "UNMANAGED_TENTACLE", near="UNREACHABLE", arguable="NOT_SWITCHABLE", why="no host of the inventory has it")


def _not_covered(garden: Garden) -> None:
    garden.quirk("kubernetes_record", "k8s-agent")
    garden.tell(
        "k8s-agent", "NOT_COVERED NOT_SWITCHABLE", near="UNMANAGED_TENTACLE", why="it is a Kubernetes agent, which pins the Server's certificate"
    )
    endpoints: Mapping[str, Mapping[str, Any]] = {
        "ssh-target": {"CommunicationStyle": "Ssh", "Host": "ssh.example.com", "Port": 22, "Uri": "ssh://ssh.example.com:22/"},
        "cloud-region": {"CommunicationStyle": "None"},
        "azure-web-app": {"CommunicationStyle": "AzureWebApp", "WebAppName": "shop"},
    }
    for name, endpoint in endpoints.items():
        garden.plan.records.append(("Machines", "Default", {"Name": name, "HealthStatus": "Healthy", "Status": "Online", "Endpoint": dict(endpoint)}))
        garden.tell(name, "NOT_COVERED", near="UNMANAGED_TENTACLE NOT_SWITCHABLE", why=f"its communication style is {endpoint['CommunicationStyle']}")
    garden.tell(garden.host("k8s-like"), near="NOT_COVERED", why="it is called after Kubernetes, and listens")


def _deletion(garden: Garden) -> None:
    for name, behaviour, span, risky in (
        ("deleted-soon", "DeleteUnavailableMachines", "00:30:00", True),
        ("deleted-just-so", "DeleteUnavailableMachines", "01:00:00", True),
        ("deleted-late", "DeleteUnavailableMachines", "01:00:01", False),
        ("deleted-never", "DoNotDelete", "00:05:00", False),
    ):
        tentacle = garden.host(name)
        policy = {"Name": f"Policy {name}", "MachineCleanupPolicy": {"DeleteMachinesBehavior": behaviour, "DeleteMachinesElapsedTimeSpan": span}}
        garden.plan.policies[name] = policy
        code, why = "DELETION_RISK", f"its policy says {behaviour} after {span}, and a rotation may take {ROTATION_TAKES} s"
        garden.tell(tentacle, code if risky else "", near="" if risky else code, why=why, names=(str(policy["Name"]),))


# -- what cannot be read


def _unreachable(garden: Garden) -> None:
    refused = garden.host("ssh-refused", quirk=["unreachable_host"])
    garden.tell(refused, "UNREACHABLE", near="UNMANAGED_TENTACLE", arguable="NOT_SWITCHABLE", why="its host refuses SSH")
    for quirk, why in (
        ("silent_endpoint", "something at its record's address accepts, and never speaks"),
        ("web_endpoint", "something at its record's address speaks HTTP"),
        ("refused_endpoint", "nothing listens at its record's address"),
        ("unresolvable_name", "nobody can resolve the name in its record"),
    ):
        away = garden.host(quirk.replace("_", "-"), quirk=[quirk])
        garden.tell(away, "UNREACHABLE", near="LOCKED_OUT STALE_RECORD UNMANAGED_TENTACLE", arguable="NOT_SWITCHABLE", why=why)
    slow = garden.host("slow-endpoint", quirk=["slow_endpoint"])
    garden.tell(slow, near="UNREACHABLE", why="it answers after a second")
    torn = garden.host("torn")
    garden.after(acts.tear(torn))
    why = "its configuration ends in the middle; the file is not newer than the process"
    garden.tell(torn, "UNREACHABLE", near="RESTART_PENDING IDENTITY_AT_RISK", arguable="NOT_SWITCHABLE", why=why)
    stopped: Tentacle = garden.host("stopped", quirk=["stopped_service"])
    garden.tell(stopped, "UNREACHABLE NOT_SWITCHABLE RECORD_UNHEALTHY", near="LOCKED_OUT", why="its service is stopped, and the Server knows it")


SEEDS: Mapping[str, Seed] = {
    "locked_out": _locked_out,
    "locked_out_polling": _locked_out_polling,
    "unchecked_trust": _unchecked_trust,
    "other_servers": _other_servers,
    "ghost_pin": _ghost_pin,
    "missing_node": _missing_node,
    "entries": _entries,
    "spellings": _spellings,
    "web_sockets": _web_sockets,
    "pending": _pending,
    "windows": _windows,
    "twins": _twins,
    "modes": _modes,
    "identity": _identity,
    "copies": _copies,
    "weak": _weak,
    "stale": _stale,
    "health": _health,
    "several": _several,
    "strays": _strays,
    "not_covered": _not_covered,
    "deletion": _deletion,
    "unreachable": _unreachable,
}
