# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A planted fleet looked at with the lab's own means: files, REST, TLS, the service manager. For each code one rule, as plain as can be.

The rules know what the planter meant with a fleet (which Tentacle is whose), so they need no matching; what they look at is the running fleet.
"""

from __future__ import annotations

import json
import re
import stat
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import yaml
from lab.fleet.plan import Tentacle
from lab.fleet.tentacles import paths_of, settings_of
from lab.planting import PlantedFleet
from lab.server.health import seconds_of
from lab.tentacle.errors import Failure
from lab.tentacle.keys import CertificateStore, MachineKey
from lab.tentacle.trust import normalise
from lab.wire.certificates import make_certificate, rsa_bits, signature_of
from lab.witness.loop import Loop
from lab.witness.wire import Said, Sight, anonymous, ask, identity, look

_ONE_LOOK, _AT_ONCE = 4.0, 24
_TENTACLES = ("TentaclePassive", "TentacleActive")
_EXPECTING = re.compile(
    r"will (?:poll Octopus Server at (?P<uri>\S+) .*expecting thumbprint|trust Octopus Servers with the thumbprint:) (?P<pin>.*)$"
)
Place = tuple[str, int]


@dataclass
class Subject:
    """One Tentacle as it was seen."""

    tentacle: Tentacle
    settings: Mapping[str, str] | None  # None: it cannot be parsed
    mode: int
    is_newer: bool  # the configuration than the process
    copies: int
    machine_id_fits: bool
    pins_at_start: list[tuple[str | None, str]]  # address and thumbprint, by the log of the process
    records: list[dict[str, Any]] = field(default_factory=list)
    presented: str | None = None  # at its own address
    accepts: dict[str, Said] = field(default_factory=dict)  # by identity, at its own address
    answers: bool = True  # at its record's address

    @property
    def pins(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.settings or {}).get("Tentacle.Communication.TrustedOctopusServers") or "[]")
        return found

    def keyed(self, key: str) -> str:
        return (self.settings or {}).get(key, "")


class World:
    """Everything that the rules look at, read once."""

    def __init__(self, garden: PlantedFleet) -> None:
        self.garden, self.fleet = garden, garden.fleet
        self.ours = self.fleet.server.certificate.thumbprint
        self.records = [record for space in self._rest("/api/spaces/all") for record in self._records(space["Id"])]
        self.subjects = [self._subject(tentacle) for tentacle in self.fleet.tentacles]
        self._look()

    def holding(self, rule: Callable[[World, Subject], bool]) -> set[str]:
        """Of whom a rule is true, as the planter names them."""
        return {self.name(subject) for subject in self.subjects if rule(self, subject)}

    @staticmethod
    def name(subject: Subject) -> str:
        return subject.tentacle.id if subject.tentacle.in_inventory else subject.tentacle.host

    @cached_property
    def nodes(self) -> list[str]:
        return [f"{node.comms}/" for node in self.fleet.server.nodes]

    @cached_property
    def known(self) -> dict[str, set[str]]:
        """What each Server presents, ours under the name ""."""
        places = {("", node.name): (node.address, node.comms_port) for node in self.fleet.server.nodes}
        for name, told in self.garden.known_servers.items():
            places |= {(name, each): (each.split(":")[0], int(each.split(":")[1])) for each in told if ":" in each}
        sights = converse({key: (place, _identity_look()) for key, place in places.items()})
        found = {name: {each for each in told if ":" not in each} for name, told in self.garden.known_servers.items()}
        for (name, _place), sight in sights.items():
            found.setdefault(name, set()).add(sight.presented or "nothing")
        return found

    @cached_property
    def hosts(self) -> dict[str, Any]:
        """Of the inventory, the Tentacles' ones."""
        found: dict[str, Any] = yaml.safe_load(self.garden.inventory.read_text())["all"]["children"]["octopus_tentacles"]["hosts"]
        return found

    def policy(self, record: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self._rest(f"/api/{record['SpaceId']}/machinepolicies/{record['MachinePolicyId']}")
        return found

    def _rest(self, path: str) -> Any:
        request = urllib.request.Request(self.fleet.server.nodes[0].url + path, headers={"X-Octopus-ApiKey": self.fleet.server.api_key})
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def _records(self, space: str) -> list[dict[str, Any]]:
        return [record for kind in ("machines", "workers") for record in self._rest(f"/api/{space}/{kind}/all")]

    def _subject(self, tentacle: Tentacle) -> Subject:
        paths = paths_of(self.fleet.folders, tentacle)
        settings = settings_of(self.fleet.folders, paths)
        found = paths.configuration.stat()
        texts = _texts(paths.configuration.read_bytes())
        unit = self.fleet.manager.show(tentacle.unit)
        home = paths.home_of_account if tentacle.account else paths.home_of_root
        store = home / CertificateStore(settings, 0).folder.relative_to(settings.home)
        started_ns = int(unit["ExecMainStartTimestampMonotonic"]) * 1000 + time.time_ns() - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        return Subject(
            tentacle=tentacle,
            settings=texts,
            mode=stat.S_IMODE(found.st_mode),
            is_newer=unit["MainPID"] != "0" and found.st_mtime_ns > started_ns,
            copies=len(list(store.glob("*.pfx"))) if store.is_dir() else 0,
            machine_id_fits=_opens(MachineKey(settings), (texts or {}).get("Tentacle.Certificate", "")),
            pins_at_start=_pins_at_start(paths.log.read_text(encoding="utf-8") if paths.log.exists() else "", unit["MainPID"]),
            records=[record for record in self.records if record["Endpoint"].get("Uri") == tentacle.uri],
        )

    def _look(self) -> None:
        """Each identity in a round of its own: a Tentacle is asked one thing at a time, as a probe does it."""
        listening = [each for each in self.subjects if not each.tentacle.polling and each.tentacle.runs]
        random, server = make_certificate("random"), self.fleet.server.certificate
        for name, context in (
            ("random", lambda: identity(random.der, random.key_pem)),
            ("nobody", anonymous),
            ("ours", lambda: identity(server.der, server.key_pem)),
        ):
            asked = {
                each.tentacle.id: ((each.tentacle.address, each.tentacle.port), lambda place, make=context: ask(place, make())) for each in listening
            }
            sights = converse(asked)
            for each in listening:
                each.accepts[name] = sights[each.tentacle.id].said
                each.presented = sights[each.tentacle.id].presented
        fronted = {each.tentacle.id: (_place(each.tentacle.uri), _identity_look()) for each in self.subjects if not each.tentacle.polling}
        answers = converse(fronted)
        for each in self.subjects:
            each.answers = each.tentacle.polling or answers[each.tentacle.id].said is Said.IDENTITY


def converse(asked: Mapping[Any, tuple[Place, Callable[[Place], Any]]]) -> dict[Any, Sight]:
    """All conversations, some at a time; what each came to."""
    found: dict[Any, Sight] = {}
    waiting = list(asked.items())
    loop = Loop()

    def begin() -> None:
        if not waiting:
            if len(found) == len(asked):
                loop.end()
            return
        key, (place, talk) = waiting.pop()

        def seen(sight: Sight) -> None:
            found[key] = sight
            begin()

        loop.begin(talk(place), _ONE_LOOK, seen)

    if asked:
        for _each in range(_AT_ONCE):
            begin()
        loop.run()
    return found


def _identity_look() -> Callable[[Place], Any]:
    return lambda place: look(place, anonymous())


def _place(uri: str) -> Place:
    parts = urlsplit(uri)
    # The loop resolves no names; a name that nobody can resolve is as good as an address where nobody is.
    host = parts.hostname or ""
    return (host if host[:1].isdigit() else "127.0.0.0", parts.port or 0)


def _texts(data: bytes) -> dict[str, str] | None:
    try:
        return {each.attrib["key"]: each.text or "" for each in ElementTree.fromstring(data)}
    except ElementTree.ParseError:
        return None


def _opens(key: MachineKey, sealed: str) -> bool:
    try:
        return not sealed or bool(key.decrypt(sealed))
    except Failure:
        return False


def _pins_at_start(text: str, pid: str) -> list[tuple[str | None, str]]:
    found: list[tuple[str | None, str]] = []
    for line in text.splitlines():
        told = _EXPECTING.search(line)
        if told and line.split()[2] == pid:
            found.append((told["uri"], told["pin"]))
    return found


# -- the rules


def _is_ours(_world: World, subject: Subject) -> bool:
    return bool(subject.records)


def _polls(world: World, pins: Iterable[tuple[str | None, str]]) -> dict[str, set[str]]:
    """Pins by the address of our nodes."""
    found: dict[str, set[str]] = {}
    for address, pin in pins:
        uri = normalise(address) if address else ""
        if uri in world.nodes:
            found.setdefault(uri, set()).add(pin)
    return found


def _on_disk(subject: Subject) -> list[tuple[str | None, str]]:
    return [(pin["Address"], pin["Thumbprint"]) for pin in subject.pins]


def _locked_out(world: World, subject: Subject) -> bool:
    if not _is_ours(world, subject) or not subject.tentacle.runs:
        return False
    if subject.tentacle.polling:
        return any(world.ours not in pins for pins in _polls(world, subject.pins_at_start).values())
    return subject.accepts["ours"] is Said.CLOSED


def _locked_out_after_restart(world: World, subject: Subject) -> bool:
    if not _is_ours(world, subject) or subject.settings is None:
        return False
    if subject.tentacle.polling:
        return any(world.ours not in pins for pins in _polls(world, _on_disk(subject)).values())
    return world.ours not in {pin["Thumbprint"].upper() for pin in subject.pins}


def _has_twin(world: World, subject: Subject) -> bool:
    return Counter(each.presented for each in world.subjects if each.presented)[subject.presented or ""] > 1


def _is_stale(_world: World, subject: Subject) -> bool:
    """Whatever the letter case: so a Server takes the certificates of those who poll it (halibut-wire.md 1.3)."""
    mine = subject.presented or subject.keyed("Tentacle.CertificateThumbprint")
    return bool(mine) and any(record["Endpoint"]["Thumbprint"].upper() != mine for record in subject.records)


def _is_exposed(_world: World, subject: Subject) -> bool:
    """A finding of Linux: the modes of a host that plays Windows are not Windows'."""
    return not subject.tentacle.windows and bool(subject.mode & 0o004)


def _is_pending(_world: World, subject: Subject) -> bool:
    disk = subject.keyed("Tentacle.CertificateThumbprint")
    return subject.is_newer or bool(disk and subject.presented and disk != subject.presented)


def _has_ghost(world: World, subject: Subject) -> bool:
    presented = {thumbprint for told in world.known.values() for thumbprint in told}
    halibut = [pin["Thumbprint"] for pin in subject.pins if not (pin["Address"] or "").startswith("wss:")]
    spelled = {re.sub("[^0-9A-F]", "", pin.upper()) for pin in halibut}
    return bool(spelled - presented - {""})


def _misses_node(world: World, subject: Subject) -> bool:
    met = _polls(world, _on_disk(subject))
    return bool(met) and set(met) != set(world.nodes)


def _has_duplicate(_world: World, subject: Subject) -> bool:
    places = Counter((pin["Thumbprint"].upper(), normalise(pin["Address"]) if pin["Address"] else "") for pin in subject.pins)
    return max(places.values(), default=0) > 1


def _is_oddly_spelled(_world: World, subject: Subject) -> bool:
    return any(pin["Thumbprint"] and not re.fullmatch("[0-9A-F]{40}", pin["Thumbprint"]) for pin in subject.pins)


def _loses_identity(_world: World, subject: Subject) -> bool:
    keys = ("Tentacle.Certificate", "Tentacle.CertificateThumbprint")
    return subject.settings is not None and not all(subject.keyed(key) for key in keys)


def _keeps_old_keys(world: World, subject: Subject) -> bool:
    return subject.copies > sum(each.tentacle.host == subject.tentacle.host for each in world.subjects)


def _is_weak(_world: World, subject: Subject) -> bool:
    keypair = subject.tentacle.keypair or (subject.tentacle.clone_of or subject.tentacle).keypair
    assert keypair is not None
    weak = any((record["Endpoint"].get("CertificateSignatureAlgorithm") or "").startswith("sha1") for record in subject.records)
    return weak or (subject.presented == keypair.thumbprint and (signature_of(keypair.der) == "sha1RSA" or (rsa_bits(keypair.key_pem) or 0) < 2048))


def _is_orphan(world: World, subject: Subject) -> bool:
    return subject.tentacle.in_inventory and world.ours in {pin["Thumbprint"] for pin in subject.pins} and not subject.records


def _cannot_switch(world: World, subject: Subject) -> bool:
    web_only = bool(subject.pins) and all((pin["Address"] or "").startswith("wss:") for pin in subject.pins)
    return not subject.tentacle.runs or _loses_identity(world, subject) or not subject.machine_id_fits or web_only


def _cannot_be_read(world: World, subject: Subject) -> bool:
    host = world.hosts.get(subject.tentacle.host, {})
    return not subject.answers or subject.settings is None or host.get("ansible_connection") == "ssh"


def _may_be_deleted(world: World, subject: Subject) -> bool:
    for record in subject.records:
        clean = world.policy(record)["MachineCleanupPolicy"]
        span = seconds_of(clean["DeleteMachinesElapsedTimeSpan"], "00:00:00")
        if clean["DeleteMachinesBehavior"] == "DeleteUnavailableMachines" and span <= world.garden.rotation_takes:
            return True
    return False


OF_TENTACLES: Mapping[str, Callable[[World, Subject], bool]] = {
    "LOCKED_OUT": _locked_out,
    "LOCKED_OUT_AFTER_RESTART": _locked_out_after_restart,
    "UNCHECKED_TRUST": lambda _world, subject: Said.ACCEPTED in (subject.accepts.get("random"), subject.accepts.get("nobody")),
    "TWIN_CERT": _has_twin,
    "KEY_EXPOSED": _is_exposed,
    "STALE_RECORD": _is_stale,
    "RESTART_PENDING": _is_pending,
    "GHOST_PIN": _has_ghost,
    "MISSING_NODE": _misses_node,
    "DUPLICATE_ENTRY": _has_duplicate,
    "NON_CANONICAL": _is_oddly_spelled,
    "BLANK_PIN": lambda _world, subject: "" in {pin["Thumbprint"] for pin in subject.pins},
    "IDENTITY_AT_RISK": _loses_identity,
    "KEY_COPIES": _keeps_old_keys,
    "WEAK_CERT": _is_weak,
    "RECORD_DISABLED": lambda _world, subject: any(record["IsDisabled"] for record in subject.records),
    "RECORD_UNHEALTHY": lambda _world, subject: any(record["HealthStatus"] in ("Unhealthy", "Unavailable") for record in subject.records),
    "SEVERAL_RECORDS": lambda _world, subject: len(subject.records) > 1,
    "ORPHAN_TENTACLE": _is_orphan,
    "UNMANAGED_TENTACLE": lambda world, subject: bool(subject.records) and subject.tentacle.host not in world.hosts,
    "WSS_PIN": lambda _world, subject: any((pin["Address"] or "").startswith("wss:") for pin in subject.pins),
    "NOT_SWITCHABLE": _cannot_switch,
    "UNREACHABLE": _cannot_be_read,
    "DELETION_RISK": _may_be_deleted,
}


def uncovered(world: World) -> set[str]:
    """Records of what is no Tentacle that listens or polls."""
    return {record["Name"] for record in world.records if record["Endpoint"]["CommunicationStyle"] not in _TENTACLES}


def shared(world: World) -> set[str]:
    """Thumbprints that two Servers present."""
    return {each for each, servers in Counter(thumbprint for told in world.known.values() for thumbprint in told).items() if servers > 1}


def old_in_use(world: World) -> set[str]:
    return {each for told in world.known.values() for each in told} & set(world.garden.retired)
