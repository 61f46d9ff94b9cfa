# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""A visit to an instance: read, refuse, back up, write, restart, prove, under our lock from the reading to the proof (decisions 6, 29)."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, ContextManager, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import agent, index, instance, log, readiness, service, trust, writer
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Installation
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.index import IndexEntry
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.instance import Row, Seen
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.service import Endpoint, Hands, Proof, Target

PENDING = (log.YES, log.PROBABLY)
# Seconds for a new process to meet the Servers that it polls; while they are up it takes half a second (measured-tentacle.md 14.1).
POLLS_PATIENCE = 10.0
_PAUSE = 0.2  # between two looks at a log that may have 60 MB


class Permit(NamedTuple):
    """What is left of a gate's permit on the target: the instances that it names, the pin that must stay, and the one that goes (decisions 2)."""

    edges: Tuple[str, ...]
    new: Optional[str] = None
    old: Optional[str] = None

    def names(self, name: str) -> bool:
        return index.ALL in self.edges or name.lower() in {edge.lower() for edge in self.edges}

    def is_strange_to(self, name: str, entries: trust.Entries) -> bool:
        """Whether the instance is another Server's: named by "*" only, before a first visit, and trusting neither certificate."""
        ours = {self.old, self.new}
        return (
            self.old is not None and name.lower() not in {edge.lower() for edge in self.edges} and not ours & {entry.canonical for entry in entries}
        )


class Limits(NamedTuple):
    """What holds for every visit: how long to wait, and what to do in spite of a reason against it."""

    timeout: Optional[float] = None  # for a restart; None: by the number of certificates in the account's store
    lock_timeout: float = 60.0
    allow_upgrade: bool = False
    check: bool = False


class TrustTask(NamedTuple):
    instance: str
    wish: trust.Wish
    limits: Limits = Limits()
    restart: bool = True
    by_vendor: bool = False
    backup_folder: str = ""
    permit: Optional[Permit] = None
    unguarded: bool = False


def limits_of(params: Mapping[str, Any], check: bool) -> Limits:
    """From the options of _argspec.RESTART."""
    return Limits(params["timeout"], params["lock_timeout"], params["allow_upgrade"], check)


def trust_task(params: Mapping[str, Any], check: bool) -> TrustTask:
    """From the options of octo_trust; OctoError for a thumbprint that is none."""
    permit = params["permit"]
    return TrustTask(
        instance=params["instance"],
        wish=_wish(params, (permit or {}).get("old")),
        limits=limits_of(params, check),
        restart=params["restart"],
        by_vendor=params["writer"] == "vendor",
        backup_folder=params["backup_folder"] or "",
        permit=Permit(tuple(permit.get("edges") or ()), permit.get("new"), permit.get("old")) if permit else None,
        unguarded=params["unguarded"],
    )


def _wish(params: Mapping[str, Any], old: Optional[str]) -> trust.Wish:
    twin = params["twin_of"] or (old if params["state"] == trust.PRESENT else None)
    wish = trust.Wish(
        params["state"],
        tuple(dict.fromkeys(_thumbprint.parse(text, "Server thumbprint") for text in params["thumbprints"])),
        tuple(dict.fromkeys(params["forget"])),
        _thumbprint.parse(twin, "thumbprint in twin_of") if twin else None,
        params["polling"],
        (params["shadow"] or "").strip() or None,
        params["shadowed"],
    )
    both = sorted(set(wish.thumbprints) & {text.strip().upper() for text in wish.forget})
    if both:
        raise OctoError(f"{', '.join(both)} is in thumbprints and in forget. Name it in one of the two.", code="CONTRADICTION")
    if wish.twin_of and (wish.state == trust.ABSENT or len({*wish.thumbprints} - {wish.twin_of}) > 1):
        raise OctoError(
            "With twin_of, thumbprints are to be present and hold one other thumbprint: the certificates of one Server, before and after its change. "
            "Give each Server a task of its own.",
            code="CONTRADICTION",
        )
    return wish


def rows(hands: Hands, name: str, installation: Installation, visit: Callable[[IndexEntry, Sequence[IndexEntry]], Row]) -> List[Row]:
    """One row for each instance asked for; an instance that goes wrong does not keep the others from being visited."""
    entries = index.read_index(hands.host, installation.home)
    return [visit(entry, entries) for entry in index.select(entries, name, installation.home)]


def locked(hands: Hands, configuration: str, limits: Limits) -> ContextManager[int]:
    """Our own lock; check mode writes nothing at all, so not the lock's file either."""
    return contextlib.nullcontext(-1) if limits.check else hands.host.exclusively(configuration, limits.lock_timeout)


def trust_rows(hands: Hands, task: TrustTask, installation: Installation) -> List[Row]:
    return rows(hands, task.instance, installation, lambda entry, entries: _trust_row(hands, task, installation, entry, entries))


def _trust_row(hands: Hands, task: TrustTask, installation: Installation, entry: IndexEntry, entries: Sequence[IndexEntry]) -> Row:
    try:
        subject = instance.subject_of(hands.host, entry, entries)
        with locked(hands, subject.configuration, task.limits) as descriptor:
            seen = instance.look(hands.host, subject, installation, hands.clock)
            return _TrustVisit(hands, task, installation, seen, descriptor).row()
    except OctoError as error:
        return {**instance.problem_row(entry, error), "changed": False, "before": [], "after": [], "restarted": False, "proven": None}


class _TrustVisit:
    def __init__(self, hands: Hands, task: TrustTask, installation: Installation, seen: Seen, descriptor: int) -> None:
        self.hands, self.task, self.installation, self.seen, self.descriptor = hands, task, installation, seen, descriptor
        self.before = seen.entries
        self.after = seen.entries
        self.restarted = False
        self.proof: Optional[Proof] = None
        self.polled: List[Row] = []

    def row(self) -> Row:
        refusal: Dict[str, Any] = {}
        try:
            if not self._is_named():
                refusal = {"code": "NOT_NAMED", "reason": f"The permit does not name {self.seen.subject.instance}; it was left alone."}
            elif self.task.permit is not None and self.task.permit.is_strange_to(self.seen.subject.instance, self.before):
                reason = f"{self.seen.subject.instance} trusts neither certificate of this rotation: it is another Server's, and was left alone."
                refusal = {"code": "STRANGER", "reason": reason}
            else:
                self._carry_out()
        except OctoError as error:
            refusal = {"ok": False, "code": error.evidence.get("code", "FAILED"), "reason": error.message}
            self._look_again()
        return {
            **instance.row_of(self.seen),
            **refusal,
            "changed": self.restarted or self.before != self.after,
            "before": [entry.brief() for entry in self.before],
            "after": [entry.brief() for entry in self.after],
            "restarted": self.restarted,
            "proven": {**self.proof.row(), "polls": {"met": len(_met(self.polled)), "of": len(self.polled)}} if self.proof else None,
        }

    def _is_named(self) -> bool:
        """With "*" a permit also says which instances of the host are meant; one that was asked for by name must be named."""
        task, name = self.task, self.seen.subject.instance
        if task.permit is not None and not task.permit.names(name):
            if task.instance == index.ALL:
                return False
            raise OctoError(f"The permit of this wave does not name {name}. Nothing was changed.", code="NOT_PERMITTED")
        if task.wish.removes and task.permit is None and not task.unguarded:
            raise OctoError(
                f"Removing a pin from {name} needs the permit of a rotation's gate, and there is none. Nothing was changed. "
                "Run the whole playbook; by hand, when you know that nobody depends on the pin, set unguarded=true.",
                code="NOT_PERMITTED",
            )
        return True

    def _carry_out(self) -> None:
        wanted = self._wanted(self.before)
        write = wanted != self.before
        if write and self.task.by_vendor:
            writer.vendor_command(self.installation.executable, self.seen.subject.instance, self.before, wanted)  # refuses what no verb can do
        restart = self.task.restart and self._restart_is_due(wanted, write)
        if restart:
            refuse_unready(self.seen, self.task.limits.allow_upgrade)
            self._refuse_to_drop(wanted)
            self._refuse_to_become_another()
        if self.task.limits.check:
            self.after, self.restarted = wanted, restart
            return
        if write:
            order = writer.Order(self.task.by_vendor, self.task.backup_folder, self.task.limits.lock_timeout, self.descriptor)
            writer.write(self.hands.host, self.seen.subject, self._wanted, order, self.installation, self.hands.clock)
        else:
            writer.sweep(self.hands.host, self.seen.subject, self.task.backup_folder)
        if restart:
            self.restarted = True
            target = target_of(self.hands, self.seen, self.installation, self.task.limits.timeout)
            self.proof = service.restart(self.hands, target)
            self._meet_the_polled(target, self._concerned(wanted))
        if write or restart:
            self._look_again()
        if restart and self.seen.restart_pending == log.YES:
            raise OctoError(
                f"The new process {self.seen.service.pid} named other pins at its start than {self.seen.settings.path} has. Something else writes "
                "this configuration; stop it, then run again.",
                code="RESTART_INEFFECTIVE",
            )

    def _wanted(self, entries: trust.Entries) -> trust.Entries:
        """What the trust becomes; refuses what would leave the Tentacle to nobody."""
        wanted = trust.fulfil(self.task.wish, entries, self.seen.settings.listens)
        gone = trust.removed(entries, wanted)
        kept = {entry.canonical for entry in wanted}
        if gone and not kept - {None} and not self.task.unguarded:
            raise OctoError(
                f"Removing {', '.join(gone)} would leave {self.seen.subject.instance} trusting no Server at all. Nothing was changed. "
                "Add the pin that is to stay first; if nobody is to reach this Tentacle, set unguarded=true.",
                code="LAST_PIN",
            )
        new = self.task.permit.new if self.task.permit else None
        servers = [entry for entry in entries if not self.task.wish.is_shadow(entry)]
        bare = trust.places_without(servers, wanted, new) if new else []
        if (gone and new and new not in kept) or bare:
            where = f" at {', '.join(bare)}" if bare else ""
            raise OctoError(
                f"{self.seen.subject.instance} does not trust {new}{where}, which takes the place of what is to be removed. Nothing was changed. "
                "Run the rotation again: it adds that pin first.",
                code="NEW_NOT_TRUSTED",
            )
        return wanted

    def _restart_is_due(self, wanted: trust.Entries, write: bool) -> bool:
        """A mere respelling is none for a process that is known to match it already."""
        if write:
            return self.seen.armed is None or log.restart_pending(self.seen.armed, wanted, 0, 0) == log.YES
        return self.seen.restart_pending in PENDING and not self._only_a_removal_is_pending(wanted)

    def _only_a_removal_is_pending(self, wanted: trust.Entries) -> bool:
        """A run was killed between the removal of a pin and its restart: that restart is up to who removes, behind a gate of its own."""
        wish = self.task.wish
        if self.seen.armed is None or wish.removes or self.task.unguarded:
            return False
        asked = [entry for entry in wanted if any(trust.means(entry, text) for text in wish.thumbprints)]
        taken = self._in_process() >= set(wish.thumbprints) and set(log.polls_of(asked)) <= set(self.seen.armed.polls)
        return taken and bool(self._dropped(wanted))

    def _in_process(self) -> Set[str]:
        return {pin.strip().upper() for pin in self.seen.armed.pins} if self.seen.armed else set()

    def _dropped(self, wanted: trust.Entries) -> List[str]:
        """What only the running process still trusts, and nobody asks to remove now; a pin that is no thumbprint lets nobody in."""
        wish = self.task.wish
        asked = {text.upper() for text in (wish.thumbprints if wish.state == trust.ABSENT else wish.forget)}
        if wish.successor and wish.twin_of:
            asked.add(wish.twin_of)
        lost = self._in_process() - {entry.thumbprint.strip().upper() for entry in wanted}
        shadow = trust.place_of(wish.shadow or "", "")[0]
        polls = {poll for poll in (self.seen.armed.polls if self.seen.armed else ()) if poll[0] != shadow} - set(log.polls_of(wanted))
        places = {pin: address for address, _subscription, pin in sorted(polls)}
        return [f"{pin} at {places[pin]}" if pin in places else pin for pin in sorted((lost | set(places)) - asked) if _thumbprint.is_canonical(pin)]

    def _refuse_to_drop(self, wanted: trust.Entries) -> None:
        """A restart makes removals of others effective, too: a pin that only the running process has is lost by it."""
        lost = [] if self.task.unguarded else self._dropped(wanted)
        if lost:
            raise OctoError(
                f"The running process of {self.seen.subject.instance} still trusts {', '.join(lost)}, which somebody has taken out of "
                f"{self.seen.settings.path}: a restart would make that effective. Nothing was changed. Add the pin again "
                "(octofleet.octopus.octo_trust state=present), or, if its Server is gone, set unguarded=true.",
                code="RESTART_DROPS_PIN",
                pins=lost,
            )

    def _refuse_to_become_another(self) -> None:
        """A certificate that was replaced on the disk is served from the restart on, and who has the old one on record then refuses the Tentacle."""
        target = target_of(self.hands, self.seen, self.installation, self.task.limits.timeout)
        expected = self.seen.thumbprint or ""
        served = service.serving(self.hands, target.endpoint) if target.endpoint and not self.task.unguarded else None
        if served and not _thumbprint.same(served, expected):
            raise OctoError(
                f"The running process of {self.seen.subject.instance} presents {served}, but {self.seen.settings.path} has {expected}: a restart "
                "would make that certificate effective, and Servers that have the other one on record would refuse this Tentacle. Nothing was "
                "changed. Restore the certificate; or restart the Tentacle by hand (octofleet.octopus.octo_service state=restarted) when the "
                "record is to follow.",
                code="IDENTITY_CHANGED",
                presents=served,
            )

    def _concerned(self, wanted: trust.Entries) -> List[trust.Entry]:
        """Who polls where this task has something to say, afterwards. Other Servers may be away for as long as they like."""
        permit = self.task.permit
        asked = self.task.wish.asked | {text for text in (permit.old, permit.new) if text} if permit else self.task.wish.asked
        polling = [entry for entry in (*self.before, *wanted) if entry.style == trust.POLLING]
        places = {entry.place for entry in polling if any(trust.means(entry, text) for text in asked)}
        return [entry for entry in wanted if entry.style == trust.POLLING and entry.place in places]

    def _meet_the_polled(self, target: Target, entries: Sequence[trust.Entry]) -> None:
        """Wait until the new process has met its Servers, identified or refused. That none answers is for the gate to judge."""
        deadline = self.hands.clock.now() + POLLS_PATIENCE
        folder = instance.log_folder(self.hands.host, self.seen.settings)
        ended = 0
        while self.proof and entries:
            pid = self.proof.service.pid
            told = log.story(self.hands.host, folder, pid)
            self.polled = log.poll_rows(told, entries)
            over = self.hands.clock.now() >= deadline
            if pid and self.hands.host.process(pid) is not None:
                if over or _have_met(log.armed(told), self.polled):
                    return
            else:
                ended += 1 if pid else 0
                self._refuse_to_go_on(target, over or ended > 1)
                self.proof = service.confirm(self.hands, target)
            self.hands.clock.sleep(_PAUSE)

    def _refuse_to_go_on(self, target: Target, certain: bool) -> None:
        """The manager may have started it again, once: an agent that meets a lock on its configuration ends, too (measured-tentacle.md 14.10)."""
        if certain:
            raise OctoError(
                f"{target.name} was restarted, but its processes end right after they have started. See its log and what the service manager "
                "says of it, repair that, then run again.",
                code="NOT_RUNNING",
            )

    def _look_again(self) -> None:
        """The row tells how things stand now, also after a failure; what cannot be read any more stays as it was seen."""
        found = agent.Found(self.proof.service) if self.proof else None
        with contextlib.suppress(OctoError):
            self.seen = instance.look(self.hands.host, self.seen.subject, self.installation, self.hands.clock, found)
            self.after = self.seen.entries


def _have_met(armed: Optional[log.Armed], polls: Sequence[Row]) -> bool:
    """Whether there is nothing left to wait for.

    A level of the log without start-up lines has no identified Servers either: then one refusal at an address speaks for all
    pins there, since the others were not refused.
    """
    usable = [row for row in polls if row["thumbprint"]]
    met = _met(usable)
    if armed is not None:
        return len(met) == len(usable) or any(log.STARTED not in row["seen"] for row in usable)
    if any(log.STARTED in (row["seen"] or ()) for row in polls):
        return False  # the other lines are on their way
    return {_address(row) for row in met} == {_address(row) for row in polls}


def _met(polls: Sequence[Row]) -> List[Row]:
    return [row for row in polls if row["seen"] and set(row["seen"]) & {log.ARMED, log.IDENTIFIED}]


def _address(row: Row) -> str:
    return trust.place_of(row["address"], "")[0]


def refuse_unready(seen: Seen, allow_upgrade: bool) -> None:
    reasons = [reason for reason in seen.reasons if not (allow_upgrade and reason.code == readiness.HIDDEN_UPGRADE)]
    if reasons:
        raise OctoError(
            f"{seen.subject.instance} is not ready for a restart, so it was left as it is. " + " ".join(reason.sentence for reason in reasons),
            code=reasons[0].code,
        )


def target_of(hands: Hands, seen: Seen, installation: Installation, timeout: Optional[float]) -> Target:
    settings = seen.settings
    store = readiness.store_of(hands.host, seen.found)
    certificates = len(hands.host.names_in(store)) if store else 0
    return Target(
        name=f"The Tentacle {seen.subject.instance} (unit {seen.service.unit})",
        before=seen.service,
        look=lambda: agent.find(hands.host, seen.subject, installation, hands.clock, patience=0).service,
        endpoint=Endpoint(settings.listen_ip or service.LOOPBACK, settings.port, seen.thumbprint) if settings.listens else None,
        patience=timeout if timeout is not None else service.patience_for(certificates, installation.system.least_patience),
        restart=installation.restart,
        holds=lambda pid: any(one.pid for one in readiness.listeners(hands.host, settings, pid)),
    )


def diff_of(visited: Sequence[Row]) -> List[Dict[str, str]]:
    """One pin a line, so that a diff shows them as ``-`` and ``+``."""
    return [
        {
            "before_header": f"{row['instance']} ({row['configuration']})",
            "after_header": f"{row['instance']} ({row['configuration']})",
            "before": _lines(row["before"]),
            "after": _lines(row["after"]),
        }
        for row in visited
        if row["before"] != row["after"]
    ]


def _lines(entries: Sequence[Mapping[str, Any]]) -> str:
    return "".join(" ".join(str(entry[key]) for key in ("canonical", "style", "address") if entry.get(key)) + "\n" for entry in entries)


def result_of(visited: List[Row], what: str) -> Dict[str, Any]:
    """The module's result: every row, and failure after all of them were visited."""
    bad = [f"{row['instance']}: {row['reason']}" for row in visited if not row["ok"]]
    result: Dict[str, Any] = {"changed": any(row.get("changed", False) for row in visited), "instances": visited}
    if bad:
        result.update(failed=True, msg=f"{what}: {len(bad)} of {len(visited)} instances could not. {' '.join(bad)}")
    return result
