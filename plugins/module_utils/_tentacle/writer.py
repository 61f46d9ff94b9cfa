# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The trust is written: by our own atomic edit (decisions 29, measured-tentacle.md 14.10), or by the vendor's verbs where policy wants that.

Who calls holds our own lock for the configuration from the reading on.
"""

from __future__ import annotations

import re
from typing import Callable, Dict, List, NamedTuple, Sequence, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import OURS, Clock, Host, Process, iso
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import agent, configuration, index, trust
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Installation, Subject
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.configuration import Configuration

BACKUPS_KEPT = 5

_COPY = r"\d{8}T\d{6}[.]\d{6}Z[.]bak"  # how its name ends: the time of day

_WHY = {
    "locked": "another process holds its lock",
    "busy": "vendor commands keep starting",
    "changed": "it keeps changing",
    "lost": "other writers keep undoing the change",
}


class Order(NamedTuple):
    by_vendor: bool = False
    backup_folder: str = ""  # beside the configuration
    patience: float = 60.0  # for vendor commands to end, and for the file to hold still
    descriptor: int = -1  # of our own lock, for vendor commands to inherit: they go on writing when we are killed


def write(host: Host, subject: Subject, change: trust.Change, order: Order, installation: Installation, clock: Clock) -> None:
    """Make the trust what ``change`` makes of it, and see that it stays so once no vendor command is at work."""
    return _Writer(host, subject, change, order, installation, clock).write()


class _Writer:
    def __init__(self, host: Host, subject: Subject, change: trust.Change, order: Order, installation: Installation, clock: Clock) -> None:
        self.host, self.subject, self.change, self.order, self.installation, self.clock = host, subject, change, order, installation, clock
        self.path = subject.configuration
        self.deadline = clock.now() + order.patience
        self.proved = b""  # what we wrote last
        self.last_words = ""  # of the vendor's command

    def write(self) -> None:
        sweep(self.host, self.subject, self.order.backup_folder)
        saved = False
        why = ""
        while True:
            settings = self._load()
            entries = self._entries(settings)
            wanted = self.change(entries)
            if wanted == entries:
                return
            if why and self.clock.now() >= self.deadline:
                raise self._gave_up(why)
            if not saved:
                self._back_up(settings)
                saved = True
            why = self._by_vendor(entries, wanted) if self.order.by_vendor else self._by_edit(settings, wanted)
            if why:
                self.clock.sleep(0.05)

    def _by_edit(self, settings: Configuration, wanted: trust.Entries) -> str:
        """One try; the word for why it must be repeated, "lost" meaning that the next look decides."""
        data = configuration.with_trust(settings, trust.render(wanted))
        why = self.host.replace_if_same(self.path, settings.data, data, self._is_quiet)
        if not why:
            self.proved = data
        return why

    def _by_vendor(self, entries: trust.Entries, wanted: trust.Entries) -> str:
        argv = [*vendor_command(self.installation.executable, self.subject.instance, entries, wanted), *self.installation.system.words]
        inherited = [self.order.descriptor] if self.order.descriptor >= 0 else []
        completed = self.host.run(argv, env=vendor_environment(self.installation), inherit_fds=inherited)
        # The exit code is no evidence: 14 of 100 writes were lost with rc 0 (measured-tentacle.md 14.4). The next look decides.
        self.last_words = (completed.stderr or completed.stdout).strip()[:500]
        return "lost"

    def _load(self) -> Configuration:
        """The configuration in a quiet moment. What is damaged after we wrote it is put back as we wrote it, pins included (rotation-safety 4.5)."""
        wait_until_quiet(self.host, self.clock, self.path, self._at_work, self.deadline)
        try:
            return configuration.load(self.host, self.path, self.clock)
        except OctoError:
            damaged = self.host.read(self.path)
            if not self.proved or damaged is None:
                raise
            self.host.replace_if_same(self.path, damaged, self.proved, self._is_quiet)
            return configuration.load(self.host, self.path, self.clock)

    def _entries(self, settings: Configuration) -> trust.Entries:
        return trust.parse(settings.get(configuration.TRUST), self.path)

    def _at_work(self) -> List[Process]:
        return agent.commands_at_work(self.host, self.subject, self.installation.home)

    def _is_quiet(self) -> bool:
        return not self._at_work()

    def _back_up(self, settings: Configuration) -> None:
        folder = self.order.backup_folder or self.host.paths.dirname(self.path)
        put_copy(self.host, self.subject, folder, settings.data)
        copy = re.compile(re.escape(_stem(self.host, self.subject)) + _COPY)
        kept = [name for name in self.host.names_in(folder) if copy.fullmatch(name)]
        for old in kept[:-BACKUPS_KEPT]:
            self.host.remove(self.host.paths.join(folder, old))

    def _gave_up(self, why: str) -> OctoError:
        said = f" The vendor's command said: {self.last_words}" if self.last_words else ""
        return OctoError(
            f"The trust in {self.path} could not be written within {self.order.patience:g} seconds: {_WHY[why]}.{said} "
            "Stop what else writes this configuration, then run again.",
            code="NOT_WRITTEN",
            path=self.path,
        )


def sweep(host: Host, subject: Subject, backup_folder: str = "") -> None:
    """Temporary files of a killed run hold the encrypted key (measured-tentacle.md 14.5); those of a copy lie where the copies are."""
    folder, name = host.paths.split(subject.configuration)
    stem = re.escape(_stem(host, subject))
    left = re.compile(f"(?:{re.escape(name)}|{stem}{_COPY}){re.escape(OURS)}[0-9a-f-]+(?:[.][a-z]+)?[.]tmp")
    for place in dict.fromkeys((folder, backup_folder or folder)):
        for found in host.names_in(place):
            if left.fullmatch(found):
                host.remove(host.paths.join(place, found))


def put_copy(host: Host, subject: Subject, folder: str, data: bytes) -> str:
    """A copy of a configuration, for its owner only; its path."""
    stamp = re.sub(r"[:-]", "", iso(host.wall_ns(host.monotonic_us())))
    copy = host.paths.join(folder, f"{_stem(host, subject)}{stamp}.bak")
    host.write_private(copy, data)
    return str(copy)


def wait_until_quiet(host: Host, clock: Clock, path: str, look: Callable[[], List[Process]], deadline: float) -> None:
    """Looks at those it knows of until they have ended, and only then through all processes: the gap to the next command may be short."""
    began, at_work = clock.now(), look()
    while at_work:
        if clock.now() >= deadline:
            names = ", ".join(f"{' '.join(process.argv[:3])} (process {process.pid})" for process in at_work[:3])
            raise OctoError(
                f"Commands of the vendor are at work on {path} and did not end within {clock.now() - began:.0f} seconds: {names}. "
                "Wait for them to end, then run again.",
                code="IN_USE",
                path=path,
            )
        if any(host.process(process.pid) for process in at_work):
            clock.sleep(0.005)
        else:
            at_work = look()


def _stem(host: Host, subject: Subject) -> str:
    """How the names of its copies begin; other instances may keep theirs in the same folder, T1-2 beside T1."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", subject.instance)
    return f"{host.paths.basename(subject.configuration)}{OURS}{name}-"


def vendor_environment(installation: Installation) -> Dict[str, str]:
    return {index.HOME_VARIABLE: installation.home} if installation.home != installation.system.home else {}


def vendor_command(executable: Sequence[str], instance: str, entries: trust.Entries, wanted: trust.Entries) -> List[str]:
    """One command that brings ``entries`` to ``wanted`` or nearer; ``--option=value`` as one word (tentacle-cli.md 1.2).

    OctoError if no verb does that and nothing else: none makes a second pin at an address that is polled (measured-tentacle.md 5).
    """
    gone, come = _polling(entries, wanted), _polling(wanted, entries)
    verb = _configure(entries, wanted, gone) if not come else _update_trust(entries, wanted, gone, come)
    if not verb:
        polled = ", ".join(sorted({entry.address or "" for entry in (*entries, *wanted) if entry.style == trust.POLLING}))
        raise OctoError(
            f"What is wanted of the pins with which {instance} polls {polled} cannot be done by the vendor's commands: they have no verb for a second "
            "pin at an address that is polled, and would change more than was asked for. Nothing was changed. Use writer=file; where that is not "
            "allowed, polling=replace with its outage, on a Tentacle that does not hold the new pin there yet.",
            code="VENDOR_CANNOT",
        )
    return [*executable, verb[0], f"--instance={instance}", *verb[1:]]


def _polling(entries: trust.Entries, others: trust.Entries) -> List[trust.Entry]:
    """Those that poll and are not among ``others``, as often as they are there more often."""
    left = [_key(entry) for entry in others]
    found: List[trust.Entry] = []
    for entry in entries:
        if _key(entry) in left:
            left.remove(_key(entry))
        elif entry.style == trust.POLLING:
            found.append(entry)
    return found


def _key(entry: trust.Entry) -> Tuple[str, str, trust.Place]:
    return entry.thumbprint, entry.style, entry.place


def _configure(entries: trust.Entries, wanted: trust.Entries, gone: Sequence[trust.Entry]) -> List[str]:
    """Listening entries come and go; one that polls goes with every other that is spelled like it (H-07)."""
    remove: List[str] = [entry.thumbprint for entry in gone]
    add: List[str] = []
    for key in dict.fromkeys(entry.thumbprint.upper() for entry in (*entries, *wanted)):
        before = [entry.thumbprint for entry in entries if entry.style == trust.LISTENING and entry.thumbprint.upper() == key]
        after = [entry.thumbprint for entry in wanted if entry.style == trust.LISTENING and entry.thumbprint.upper() == key]
        if before == after and not set(after) & set(remove):
            continue
        # A single entry in another spelling is respelled by --trust in one write; of several, --trust fails (H-08).
        if not after or len(before) > 1:
            remove += before
        add += dict.fromkeys(after)
    if any(entry.address and entry.thumbprint in remove for entry in wanted):
        return []
    return ["configure", *(f"--remove-trust={text}" for text in dict.fromkeys(remove)), *(f"--trust={text}" for text in add)]


def _update_trust(entries: trust.Entries, wanted: trust.Entries, gone: Sequence[trust.Entry], come: Sequence[trust.Entry]) -> List[str]:
    """Only where it changes nothing but what is wanted: it takes every entry of the old pin, and of an entry that is there already it makes two."""
    if not gone:
        return []
    old, new = gone[0].thumbprint, come[0].thumbprint
    made = tuple(entry._replace(thumbprint=new) if entry.thumbprint.upper() == old.upper() else entry for entry in entries)
    exact = not _polling(made, wanted) and not _polling(wanted, made)
    others = [entry for entry in entries if entry.style != trust.POLLING and entry.thumbprint.upper() == old.upper()]
    return ["update-trust", f"--oldThumbprint={old}", f"--newThumbprint={new}"] if exact and not others else []
