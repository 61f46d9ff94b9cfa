# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host in memory, and a clock that a test moves: what the brains are handed in the tests of their decisions."""

from __future__ import annotations

import contextlib
import json
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Account, Clock, Completed, FileStat, Process, Service, Socket
from hypothesis import settings
from lab.tentacle.trust import normalise

few = settings(max_examples=50, deadline=None)  # a deadline would measure the machine, not the code
GOLDEN = Path(__file__).resolve().parents[2] / "golden"
MACHINE_ID = b"816490f117f14c7a8fa2697781ed795b\n"  # the one that the golden keys are encrypted with (golden/README.md)
CERTIFICATE = b"what the Tentacles in memory present"
A, B, C = ("A" * 38 + "01", "B" * 38 + "02", "C" * 40)
OLD, NEW, FOREIGN = ("6D1FC0DE" * 5, "2B94C0DE" * 5, "F" * 40)


def golden_case(name: str) -> tuple[bytes, bytes]:
    """Configuration before and after a recorded command of the real Tentacle."""
    return (GOLDEN / name / "config.before.xml").read_bytes(), (GOLDEN / name / "config.after.xml").read_bytes()


class HandClock:
    """Time passes only when somebody sleeps; what is to happen meanwhile is put into ``then``."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.then: list[Callable[[], None]] = []

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        if self.then:
            self.then.pop(0)()

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.time, self.sleep)


class FakeHost:
    """A Host whose files, processes and services are dictionaries. Every order that it is given is kept in ``orders``."""

    paths = posixpath

    def __init__(self, time: HandClock) -> None:
        self.time = time
        self.files: dict[str, bytes] = {}
        self.stats: dict[str, FileStat] = {}
        self.services: dict[str, Service] = {}
        self.table: dict[int, Process] = {}
        self.environments: dict[int, dict[str, str]] = {}
        self.replaced: set[int] = set()
        self.accounts = {"root": Account(0, "/root"), "": Account(0, "/root")}
        self.sockets: list[tuple[str, int, int]] = []  # address, port, pid
        self.orders: list[list[str]] = []
        self.when: dict[str, Callable[[Sequence[str]], Completed]] = {}  # by the last word but one, or the program
        self.writes: list[str] = []
        self.locks: list[str] = []
        self.in_use = False
        self.inherited: list[Sequence[int]] = []
        self.given: list[dict[str, str]] = []  # environments

    def run(
        self,
        argv: Sequence[str],
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 120.0,
        inherit_fds: Sequence[int] = (),
    ) -> Completed:
        assert stdin is None
        assert timeout > 0
        self.given.append(dict(env or {}))
        self.orders.append(list(argv))
        self.inherited.append(inherit_fds)
        for word in argv:
            if word in self.when:
                return self.when[word](argv)
        return Completed(0, "", "")

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def stat(self, path: str) -> FileStat | None:
        if path in self.stats:
            return self.stats[path]
        return FileStat(0o644, 0, 0, len(self.files[path]), 1, 0) if path in self.files else None

    def names_in(self, folder: str) -> list[str]:
        return sorted({path[len(folder) + 1 :].split("/")[0] for path in self.files if path.startswith(folder + "/")})

    def unindexed(self) -> Sequence[tuple[str, str]]:
        return ()

    def resolve(self, path: str) -> str:
        return path

    def write_private(self, path: str, data: bytes, mode: int = 0o600) -> None:
        assert mode == 0o600
        self.writes.append(path)
        self.files[path] = data

    def replace_if_same(self, path: str, expected: bytes, new: bytes, undisturbed: Callable[[], bool]) -> str:
        if not undisturbed():
            return "busy"
        if self.files.get(path) != expected:
            return "changed"
        self.write_private(path, new)
        return ""

    def remove(self, path: str) -> None:
        self.writes.append(path)
        for name in [one for one in self.files if one == path or one.startswith(path + "/")]:
            del self.files[name]

    @contextlib.contextmanager
    def private_folder(self) -> Iterator[str]:
        yield "/tmp/private"

    def service(self, unit: str) -> Service:
        return self.services.get(unit, Service(unit, False, False, 0, 0, "", "root", ()))

    def order(self, verb: str, unit: str, timeout: float) -> Completed:
        return self.run(["systemctl", verb, unit], timeout=timeout)

    def process(self, pid: int) -> Process | None:
        return self.table.get(pid)

    def processes(self, wanted: Callable[[Sequence[str]], bool] | None = None) -> list[Process]:
        return [process for process in self.table.values() if wanted is None or wanted(process.argv)]

    def environment_of(self, pid: int) -> Mapping[str, str]:
        return self.environments.get(pid, {})

    def is_replaced(self, pid: int) -> bool:
        return pid in self.replaced

    def account(self, user: str) -> Account | None:
        return self.accounts.get(user)

    def sockets_on(self, port: int, pids: Sequence[int]) -> list[Socket]:
        return [Socket(address, pid if pid in pids else 0) for address, at, pid in self.sockets if at == port]

    def monotonic_us(self) -> int:
        return int(self.time.time * 1e6)

    def wall_ns(self, monotonic_us: int) -> int:
        return monotonic_us * 1000

    @contextlib.contextmanager
    def exclusively(self, path: str, wait: float = 60.0) -> Iterator[int]:
        if self.in_use and wait >= 0:
            raise OctoError(f"{path} is being changed by another run.", code="IN_USE")
        self.locks.append(path)
        yield 7


def entry_json(thumbprint: str, style: Any = 1, address: str | None = None, subscription: str | None = None) -> str:
    value = {"Thumbprint": thumbprint, "CommunicationStyle": style, "Address": address, "Squid": None, "SubscriptionId": subscription}
    return json.dumps(value, separators=(",", ":"))


def trust_json(*thumbprints: str) -> str:
    return "[" + ",".join(map(entry_json, thumbprints)) + "]"


def document(trust: str | None, **keys: str) -> bytes:
    """A configuration as the vendor writes it; the encrypted certificate is that of the golden files."""
    _before, after = golden_case("20-trust-02-add-A")
    values = dict(_settings(after)) | {"Tentacle.CertificateThumbprint": _thumbprint.of_der(CERTIFICATE)}
    values |= {name.replace("_", "."): value for name, value in keys.items()}
    if trust is None:
        values.pop("Tentacle.Communication.TrustedOctopusServers")
    else:
        values["Tentacle.Communication.TrustedOctopusServers"] = trust
    escaped = ((key, value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")) for key, value in sorted(values.items()))
    lines = "".join(f'  <set key="{key}">{value}</set>\n' if value else f'  <set key="{key}" />\n' for key, value in escaped)
    start = after[: after.index(b"  <set ")]
    return start + lines.encode() + b"</octopus-settings>"


def _settings(data: bytes) -> Iterator[tuple[str, str]]:
    from xml.etree import ElementTree

    for element in ElementTree.fromstring(data.lstrip(b"\xef\xbb\xbf")):
        yield element.attrib["key"], element.text or ""


class Poll(NamedTuple):
    """An entry that polls, as a running Tentacle has it."""

    address: str
    subscription: str
    pin: str


def log_of(pid: int, *messages: str, level: str = "INFO") -> bytes:
    """Lines as NLog writes them (golden/log-samples.txt)."""
    return "".join(f"2026-11-22 00:10:19.2130  {pid:>5}      1 {level:>5}  {message}\n" for message in messages).encode()


def start_up(pid: int, *pins: str, polls: Sequence[Poll] = ()) -> bytes:
    trusts = [f"Agent will trust Octopus Servers with the thumbprint: {pin}" for pin in pins]
    named = trusts or ["The agent is not configured to trust any Octopus Servers."]
    polled = [
        f"Agent will poll Octopus Server at {normalise(poll.address)} for subscription {poll.subscription} expecting thumbprint {poll.pin}"
        for poll in polls
    ]
    return log_of(pid, "==== RunAgentCommand ====", "CommandLine: Tentacle run", *named, *polled, "Agent listening on: [::]:10933")


def identified(pid: int, address: str, pin: str) -> bytes:
    """A Server presented what was expected."""
    text = f"Secure connection established. Server at [::ffff:127.0.0.1]:10943 identified by thumbprint: {pin}, using protocol Tls13"
    return log_of(pid, f"{normalise(address):<30}   11  {text}")


def refused(pid: int, address: str, pin: str, presented: str) -> bytes:
    """A Server presented something else: one entry of several lines, of which only the first is marked (golden/log-samples.txt)."""
    uri = normalise(address)
    cause = (
        f"The server at {uri} presented an unexpected security certificate. We expected the server to present a certificate with the thumbprint "
        f"'{pin}'. Instead, it presented a certificate with a thumbprint of '{presented}' and subject 'CN=Octopus Portal'. This usually happens "
        "when the client has been configured to expect the server to have the wrong certificate."
    )
    text = f"An error occurred when sending a request to '{uri}', after the request began: {cause}"
    raw = f"Halibut.HalibutClientException: {text}\n ---> {cause}\n   --- End of inner exception stack trace ---\n"
    return log_of(pid, f"{uri:<30}    7  Halibut client exception: {text} Retrying in 120.0 seconds", level="ERROR") + raw.encode()


def meetings(pid: int, polls: Sequence[Poll], servers: Mapping[str, str]) -> bytes:
    """What becomes of polling addresses that answer, each with its certificate."""
    met = [(poll, servers[poll.address]) for poll in polls if poll.address in servers]
    return b"".join(
        identified(pid, poll.address, presented) if poll.pin == presented else refused(pid, poll.address, poll.pin, presented)
        for poll, presented in met
    )
