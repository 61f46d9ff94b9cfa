# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random lives of a Tentacle: our visits, the vendor's commands in other hands, restarts, in any order and from any beginning.

What the vendor's tool makes of a trust is written here a second time, from tentacle-cli.md 2.5, 2.6, 2.10, 3.3 and 5, and
knows nothing of our brains or of the lab.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.trust import Wish
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.visit import Limits, Permit
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from unit.tentacle.doubles import FOREIGN, NEW, OLD, Poll, document
from unit.tentacle.world import PORT, Tentacle, World

ADDRESSES = ["https://node-1:10943", "https://node-2:10943"]
SPELLED = [*ADDRESSES, "https://node-1:10943/", "HTTPS://Node-1:10943"]
ME, OTHER = "poll://bcdefghjklmnpqrstuvw/", "poll://zyxwvutsrqpnmlkjhgfd/"
VALUE = re.compile(rb'(<set key="Tentacle.Communication.TrustedOctopusServers">)(.*?)(</set>)')


class Crash(Exception):
    """Exit code 100."""


class Entry(NamedTuple):
    """One of the vendor's, with the text that it stands as."""

    raw: str
    thumbprint: str
    style: int
    address: str | None
    subscription: str | None

    @classmethod
    def read(cls, raw: str) -> Entry:
        value = json.loads(raw)
        style = {"TentaclePassive": 1, "TentacleActive": 2}.get(value["CommunicationStyle"], value["CommunicationStyle"])
        return cls(raw, value["Thumbprint"].strip(), style, value["Address"], value["SubscriptionId"])

    @classmethod
    def made(cls, thumbprint: str, style: int, address: str | None = None, subscription: str | None = None) -> Entry:
        value = {"Thumbprint": thumbprint, "CommunicationStyle": style, "Address": address, "Squid": None, "SubscriptionId": subscription}
        return cls.read(json.dumps(value, separators=(",", ":")))

    @property
    def identity(self) -> tuple[str, str]:
        return self.thumbprint.lower(), uri(self.address).lower()

    @property
    def polls(self) -> bool:
        return self.style == 2 and not uri(self.address).startswith("wss:")

    @property
    def lets_in(self) -> frozenset[tuple[str, str, str]]:
        """Which Server it lets in, and where: a loop compares by case; the listener does not, and takes the pins of loops, too (5.1)."""
        found = {("", "", self.thumbprint.upper())} | ({(uri(self.address), self.subscription or "", self.thumbprint)} if self.polls else set())
        return frozenset(one for one in found if re.fullmatch("[0-9A-F]{40}", one[2]))


def uri(address: str | None) -> str:
    """As .NET prints it."""
    if address is None:
        return ""
    parts = urlsplit(address.strip())
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path or '/'}"


def entries_in(data: bytes) -> list[Entry]:
    match = VALUE.search(data)
    assert match is not None
    text = match.group(2).decode()
    values, at = [], 1
    while text[at : at + 1] not in ("]", ""):
        _value, end = json.JSONDecoder().raw_decode(text, at)
        values.append(text[at:end])
        at = end + (text[end : end + 1] == ",")
    return [Entry.read(raw) for raw in values]


def one(entries: list[Entry], identity: tuple[str, str]) -> Entry | None:
    """SingleOrDefault."""
    found = [entry for entry in entries if entry.identity == identity]
    if len(found) > 1:
        raise Crash("Sequence contains more than one matching element")
    return found[0] if found else None


def configure_trust(entries: list[Entry], thumbprint: str) -> list[Entry]:
    known = one(entries, (thumbprint.lower(), ""))
    return [*(entry for entry in entries if entry is not known), Entry.made(thumbprint, 1)]


def remove_trust(entries: list[Entry], thumbprint: str) -> list[Entry]:
    return [entry for entry in entries if entry.thumbprint != thumbprint]


def update_trust(entries: list[Entry], old: str, new: str) -> list[Entry]:
    def respelled(entry: Entry) -> Entry:
        return Entry.read(json.dumps({**json.loads(entry.raw), "Thumbprint": new}, separators=(",", ":")))

    return [respelled(entry) if entry.thumbprint.lower() == old.lower() else entry for entry in entries]


def server_comms(entries: list[Entry], thumbprint: str, address: str) -> list[Entry]:
    if not any(entry.thumbprint == thumbprint for entry in entries):
        return entries  # exit code 1
    known = one(entries, (thumbprint.lower(), uri(address).lower()))
    same = next((entry.subscription for entry in entries if entry.thumbprint == thumbprint and entry.subscription), None)
    made = Entry.made(thumbprint, 2, address, (known.subscription if known else None) or same or OTHER)
    return [*(entry for entry in entries if entry is not known), made]


def crashes(entries: list[Entry]) -> set[tuple[str, str, str]]:
    """Every call of the tool that fails on this trust."""
    found = set()
    for pin in {entry.thumbprint for entry in entries} | {OLD, NEW, FOREIGN}:
        for name, call in (("trust", lambda pin=pin: configure_trust(entries, pin)), *(_comms(entries, pin, address) for address in ADDRESSES)):
            try:
                call()
            except Crash:
                found.add((name, pin.lower(), "crash"))
    return found


def _comms(entries: list[Entry], pin: str, address: str) -> tuple[str, Callable[[], list[Entry]]]:
    return address, lambda: server_comms(entries, pin, address)


class Running(Tentacle):
    """A process that reads its trust as the vendor's does."""

    def entries(self) -> list[Entry]:
        return entries_in(self.world.host.files[self.path])

    def pins(self) -> list[str]:
        return [entry.thumbprint for entry in self.entries()]

    def polls(self) -> list[Poll]:
        return [Poll(str(entry.address), str(entry.subscription), entry.thumbprint) for entry in self.entries() if entry.style == 2]

    def start(self) -> None:
        super().start()
        self.memory = reached(self.entries())


def reached(entries: Iterable[Entry]) -> frozenset[tuple[str, str, str]]:
    return frozenset(one for entry in entries for one in entry.lets_in)


PINS = st.sampled_from(
    [OLD, NEW, FOREIGN, OLD.lower(), NEW.lower(), FOREIGN.lower(), f"{NEW} ", ":".join(NEW[at : at + 2] for at in range(0, 40, 2))]
)
OURS = st.sampled_from([OLD, NEW])
ANY = st.sampled_from([OLD, NEW, FOREIGN, OLD.lower(), NEW.lower()])


@st.composite
def entry_texts(draw: st.DrawFn) -> str:
    pin = draw(PINS)
    kind = draw(st.sampled_from(["listening", "polling", "polling", "polling", "websocket"]))
    if kind == "listening":
        return Entry.made(pin, 1).raw
    if kind == "websocket":
        return Entry.made(FOREIGN, 2, "wss://node-1/OctopusComms", ME).raw
    address, subscription = draw(st.sampled_from(SPELLED)), draw(st.sampled_from([ME, ME, ME, ME, OTHER]))
    value = {"Thumbprint": pin, "CommunicationStyle": draw(st.sampled_from([2, 2, "TentacleActive"])), "Address": address, "Squid": None}
    value |= {"SubscriptionId": subscription} | draw(st.sampled_from([{}, {"Extra": [1.50, "ä"]}]))
    return json.dumps(value, separators=draw(st.sampled_from([(",", ":"), (", ", ": ")])), ensure_ascii=False)


class Life(RuleBasedStateMachine):
    @initialize(
        texts=st.lists(entry_texts(), min_size=1, max_size=5),
        listens=st.booleans(),
        unknown=st.dictionaries(st.sampled_from(["Octopus_Own", "Zz_Unknown"]), st.sampled_from(["42", "<&>", ""])),
        comment=st.booleans(),
    )
    def begin(self, texts: list[str], listens: bool, unknown: dict[str, str], comment: bool) -> None:
        self.world = World()
        self.settings = {"Octopus_Home": "/srv/T1", "Tentacle_Services_NoListen": str(not listens).lower(), **unknown}
        self.listens = listens
        self.tentacle = Running(self.world, "T1", f"[{','.join(texts)}]", PORT)
        self.world.tentacles["T1"] = self.tentacle
        data = document(f"[{','.join(texts)}]", **self.settings)
        self.tentacle.write(data.replace(b"  <set ", b"  <!-- by hand -->\n  <set ", 1) if comment else data)
        self.restart()

    # -- others

    @rule(thumbprint=ANY)
    def somebody_trusts(self, thumbprint: str) -> None:
        self.vendor(lambda entries: configure_trust(entries, thumbprint))

    @rule(thumbprint=ANY)
    def somebody_stops_trusting(self, thumbprint: str) -> None:
        self.vendor(lambda entries: remove_trust(entries, thumbprint))

    @rule(old=OURS, new=ANY)
    def somebody_updates_trust(self, old: str, new: str) -> None:
        self.vendor(lambda entries: update_trust(entries, old, new))

    @rule(thumbprint=ANY, address=st.sampled_from(SPELLED))
    def somebody_adds_a_node(self, thumbprint: str, address: str) -> None:
        self.vendor(lambda entries: server_comms(entries, thumbprint, address))

    @rule()
    def restart(self) -> None:
        self.tentacle.stop()
        self.tentacle.start()

    @rule(certificate=st.sampled_from([OLD, NEW, FOREIGN, ""]), addresses=st.sets(st.sampled_from(SPELLED)))
    def servers_change(self, certificate: str, addresses: set[str]) -> None:
        self.tentacle.servers = {address: certificate for address in addresses if certificate}

    def vendor(self, change: Callable[[list[Entry]], list[Entry]]) -> None:
        """It reads everything and writes everything anew: comments go, the rest is sorted."""
        try:
            entries = change(self.entries())
        except Crash:
            return
        self.tentacle.write(document(f"[{','.join(entry.raw for entry in entries)}]", **self.settings))

    # -- ours

    @rule(thumbprints=st.sampled_from([(NEW,), (OLD, NEW), (OLD,)]), twin=st.sampled_from([OLD, OLD, NEW, None]), restart=st.booleans())
    def we_add(self, thumbprints: tuple[str, ...], twin: str | None, restart: bool) -> None:
        self.visit(Wish("present", thumbprints, twin_of=twin), restart=restart)

    @rule(old=OURS, by_permit=st.booleans())
    def we_remove(self, old: str, by_permit: bool) -> None:
        new = NEW if old == OLD else OLD
        guard = {"permit": Permit(("T1",), new, old)} if by_permit else {"unguarded": True}
        self.visit(Wish("absent", (old,)), **guard)

    @rule(old=OURS)
    def we_replace(self, old: str) -> None:
        new = NEW if old == OLD else OLD
        self.visit(Wish("present", (OLD, NEW), twin_of=old, polling="replace"), permit=Permit(("T1",), new, old))

    @rule(keep=OURS, alone=st.booleans())
    def we_want_it_exact(self, keep: str, alone: bool) -> None:
        drop = NEW if keep == OLD else OLD
        wish = Wish("exact", (keep,), (drop, FOREIGN), twin_of=drop) if alone else Wish("exact", (keep, FOREIGN), (drop,))
        self.visit(wish, unguarded=True)

    def visit(self, wish: Wish, restart: bool = True, **guard: Any) -> None:
        before, disk, memory = self.data, self.entries(), self.tentacle.memory
        (planned,) = self.world.visit(wish, "T1", restart=restart, limits=Limits(check=True), **guard)
        assert self.data == before
        (row,) = self.world.visit(wish, "T1", restart=restart, **guard)
        assert [planned[key] for key in ("ok", "code", "changed", "after")] == [row[key] for key in ("ok", "code", "changed", "after")]
        if not row["ok"]:
            assert row["reason"]
            assert (self.data, self.tentacle.memory, row["changed"]) == (before, memory, False)
            return
        after = self.entries()
        self.judge_the_file(before, disk, after, wish)
        self.judge_the_wish(wish, disk, after)
        self.judge_who_is_let_in(wish, disk, after, memory, guard)
        if restart:
            assert _of(wish, self.tentacle.memory) == _of(wish, reached(after)), "the process has not taken over what was asked for"
        written, orders = self.data, len(self.world.host.orders)
        (again,) = self.world.visit(wish, "T1", restart=restart, **guard)
        assert (again["ok"], again["changed"], self.data, len(self.world.host.orders)) == (True, False, written, orders)

    def judge_the_file(self, before: bytes, disk: list[Entry], after: list[Entry], wish: Wish) -> None:
        assert VALUE.sub(rb"\1\3", self.data) == VALUE.sub(rb"\1\3", before), "bytes of something else have moved"
        named = {*wish.thumbprints, *wish.forget, wish.twin_of}
        assert _foreign(after, named) == _foreign(disk, named), "I10"
        assert crashes(after) <= crashes(disk), "the vendor's tool fails because of us"

    def judge_the_wish(self, wish: Wish, disk: list[Entry], after: list[Entry]) -> None:
        gone = wish.thumbprints if wish.state == "absent" else wish.forget
        assert not [entry for entry in after if _reads(entry) in gone]
        successor = next((pin for pin in wish.thumbprints if pin != wish.twin_of), None) if wish.polling == "replace" else None
        for pin in wish.thumbprints if wish.state != "absent" else ():
            mine = [entry for entry in after if _reads(entry) == pin]
            places = [(uri(entry.address).lower(), entry.subscription if entry.polls else None) for entry in mine]
            assert len(places) == len(set(places)), "I9"
            assert all(json.loads(entry.raw)["Thumbprint"] == pin for entry in mine), "I9"
            if not (successor and pin == wish.twin_of):
                assert mine, "it lets nobody in"
        if wish.twin_of:
            pair = {wish.twin_of} | (set(wish.thumbprints) if wish.twin_of in wish.thumbprints else set())
            wanted = {successor} if successor else set(wish.thumbprints)
            polled = {(uri(entry.address).lower(), entry.subscription) for entry in disk if entry.polls and _reads(entry) in pair}
            now = {(where.lower(), whose, pin) for where, whose, pin in reached(after)}
            assert {(where, whose, pin) for where, whose in polled for pin in wanted} <= now

    def judge_who_is_let_in(self, wish: Wish, disk: list[Entry], after: list[Entry], memory: frozenset[tuple[str, str, str]], guard: Any) -> None:
        allowed = {*(wish.thumbprints if wish.state == "absent" else wish.forget), *([wish.twin_of] if wish.polling == "replace" else [])}
        assert {one for one in _lower(reached(disk)) if one[2] not in allowed} <= _lower(reached(after)), "a pin is lost that nobody asked for"
        registered = {one[:2] for one in _lower(reached(disk)) if one[0]}
        assert registered <= {one[:2] for one in _lower(reached(after))}, "a registration is lost"
        if "unguarded" not in guard:
            kept = {one for one in _lower(memory) if one[2] not in allowed}
            assert kept <= _lower(self.tentacle.memory), "a restart has ended what somebody else took off the disk"
        if "permit" in guard and wish.state == "absent":
            lost = {one[:2] for one in _lower(reached(disk)) - _lower(reached(after))}
            new = guard["permit"].new
            assert not lost or any(one[2] == new for one in _lower(reached(after)))
            assert {(*place, new) for place in lost if place[0]} <= _lower(reached(after))

    # -- what is there

    @property
    def data(self) -> bytes:
        return self.world.host.files[self.tentacle.path]

    def entries(self) -> list[Entry]:
        return entries_in(self.data)

    @invariant()
    def what_is_seen_is_true(self) -> None:
        """No line of an earlier process, of another address, or of another pin is ever taken for one of this."""
        if not hasattr(self, "world"):
            return
        (row,) = self.world.read("T1")
        assert row["ok"]
        for poll in row["polls"]:
            place = (uri(poll["address"]), poll["subscription_id"], poll["thumbprint"])
            if poll["thumbprint"] and poll["seen"]:
                assert place in self.tentacle.memory, "nobody in this process has it"


def _lower(found: Iterable[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    return {(where.lower(), whose, pin) for where, whose, pin in found}


def _of(wish: Wish, found: Iterable[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    return {one for one in _lower(found) if one[2] in wish.thumbprints}


def _reads(entry: Entry) -> str:
    """What a person reads in it."""
    return re.sub("[^0-9A-Za-z]", "", entry.thumbprint).upper()


def _foreign(entries: list[Entry], named: set[str | None]) -> list[str]:
    return [entry.raw for entry in entries if _reads(entry) not in named]


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=150, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck))
