# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose processes they are: arguments in every form that the vendor takes, behind interpreters, and units by their rule."""

from __future__ import annotations

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Process, Service
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import agent
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Command, Installation, Subject
from unit.tentacle.doubles import FakeHost, HandClock

HOME = "/etc/octopus"
T1 = Subject("T1", "/srv/T1.config", ["T1", "Twin"])


@pytest.fixture
def time() -> HandClock:
    return HandClock()


@pytest.fixture
def host(time: HandClock) -> FakeHost:
    return FakeHost(time)


def run(host: FakeHost, *argv: str, pid: int = 50, parent: int = 1, **environment: str) -> Process:
    host.table[pid] = Process(pid, parent, 0, argv, 5_000_000)
    host.environments[pid] = dict(environment)
    return host.table[pid]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["/opt/octopus/tentacle/Tentacle", "configure", "--instance=T1", "--trust=X"], Command("configure", "T1", "")),
        (["Tentacle", "configure", "--instance", "T1"], Command("configure", "T1", "")),
        (["Tentacle", "--Configure", "/INSTANCE:T1"], Command("configure", "T1", "")),
        (["dotnet", "/x/Tentacle.dll", "agent", "-instance=T1", "--noninteractive"], Command("agent", "T1", "")),
        (["/usr/bin/python3", "-I", "/a b/Tentacle", "run", "--config=/srv/T1.config"], Command("run", "", "/srv/T1.config")),
        (["sudo", "-H", "Tentacle", "update-trust", "--instance="], Command("update-trust", "", "")),
        (["Tentacle", "show-thumbprint", "--instance=A", "--instance=B"], Command("show-thumbprint", "B", "")),
        (["Tentacle", "configure", "--instance"], Command("configure", "", "")),
        (["Tentacle"], None),
        (["vim", "/etc/Tentacle"], None),
        (["bash", "-c", "Tentacle configure"], None),
        ([], None),
        (["less", "Tentacle", "a file.txt"], None),
    ],
)
def test_commands_are_told_by_their_arguments(argv: list[str], expected: Command | None) -> None:
    assert agent.command_of(argv) == expected


@pytest.mark.parametrize(
    ("argv", "environment", "counts"),
    [
        (["Tentacle", "configure", "--instance=T1"], {}, True),
        (["Tentacle", "configure", "--instance=t1"], {"HOME": "/root"}, True),
        (["Tentacle", "configure", "--instance=TWIN"], {}, True),
        (["Tentacle", "configure", "--instance=T2"], {}, False),
        (["Tentacle", "configure", "--instance=T2", "--config=/srv/T1.config"], {}, False),  # the instance wins
        (["Tentacle", "configure", "--config=/srv/T1.config"], {}, True),
        (["Tentacle", "configure", "--config=/srv/T2.config"], {}, False),
        (["Tentacle", "configure", "--config=T2.config"], {}, True),  # relative to nobody knows what
        (["Tentacle", "configure"], {}, True),
        (["Tentacle", "list-instances"], {}, True),
        (["Tentacle", "run", "--instance=T1"], {}, False),
        (["Tentacle", "agent", "--instance=T1"], {}, False),
        (["Tentacle", "configure", "--instance=T1"], {"TentacleMachineConfigurationHomeDirectory": "/elsewhere"}, False),
        (["Tentacle", "configure"], {"TentacleMachineConfigurationHomeDirectory": "/elsewhere"}, True),
    ],
)
def test_which_commands_are_waited_for(host: FakeHost, argv: list[str], environment: dict[str, str], counts: bool) -> None:
    process = run(host, *argv, **environment)
    assert agent.commands_at_work(host, T1, HOME) == ([process] if counts else [])


@pytest.mark.parametrize(
    ("instance", "service", "unit"),
    [
        ("Tentacle", "", "Tentacle.service"),
        ("My Inst", "", "My-Inst.service"),
        ("a/b\\c  d", "", "abc-d.service"),
        ("T", "octopus", "octopus"),
        ("My T", "lab-{instance}.service", "lab-My-T.service"),
    ],
)
def test_units_are_named_as_the_vendor_names_them(instance: str, service: str, unit: str) -> None:
    assert agent.unit_of(instance, Installation(service=service)) == unit


def known(argv: list[str], state: str = "active", **environment: str) -> Service:
    return Service("T1.service", True, state == "active", 50, 5_000_000, "then", "root", argv, tuple(environment.items()), state)


def find(host: FakeHost, time: HandClock, **installation: str | list[str]) -> agent.Found:
    return agent.find(host, T1, Installation(**installation), time.clock)  # type: ignore[arg-type]


def test_a_unit_is_confirmed_by_what_it_starts(host: FakeHost, time: HandClock) -> None:
    service = host.services["T1.service"] = known(["/opt/Tentacle", "run", "--instance=T1"])
    assert find(host, time) == agent.Found(service)


@pytest.mark.parametrize(
    ("argv", "installation", "says"),
    [
        (["/usr/sbin/sshd", "-D"], {}, "does not run a Tentacle"),
        (["/opt/Tentacle", "run", "--instance=Other"], {}, "runs the Tentacle instance Other"),
        (["/opt/Tentacle", "run", "--instance=Other"], {"service": "T1.service"}, "runs the Tentacle instance Other"),
        (["/opt/Tentacle", "run", "--instance=T1"], {"home": "/elsewhere"}, "not under /elsewhere"),
    ],
)
def test_a_unit_that_starts_something_else_is_not_ours(
    host: FakeHost, time: HandClock, argv: list[str], installation: dict[str, str], says: str
) -> None:
    """An instance called ssh has the unit of somebody else (H-26)."""
    host.services["T1.service"] = known(argv)
    found = find(host, time, **installation)
    assert says in found.problem
    assert found.service.pid == 0


def test_a_unit_named_by_a_person_may_start_a_wrapper(host: FakeHost, time: HandClock) -> None:
    host.services["T1.service"] = known(["/usr/bin/podman", "start", "-a", "tentacle"])
    assert not find(host, time, service="T1.service").problem


def test_without_a_unit_the_process_is_found(host: FakeHost, time: HandClock) -> None:
    run(host, "Tentacle", "configure", "--instance=T1", pid=40)
    run(host, "Tentacle", "run", "--noninteractive", pid=41)  # could be anybody's
    run(host, "/opt/Tentacle", "run", "--instance=T1", pid=42)
    found = find(host, time)
    assert (found.service.pid, found.service.active, found.service.known) == (42, True, False)
    assert "knows no unit T1.service" in found.problem
    assert not find(host, time, restart=["docker", "restart", "t1"]).problem
    host.table.clear()
    assert find(host, time).service.pid == 0


def test_a_service_on_its_way_is_waited_for(host: FakeHost, time: HandClock) -> None:
    """A run that was killed in a restart leaves it so for a moment."""
    argv = ["/opt/Tentacle", "run", "--instance=T1"]
    host.services["T1.service"] = known(argv, "activating")
    time.then = [lambda: None, lambda: host.services.update({"T1.service": known(argv)})]
    assert find(host, time).service.state == "active"
    host.services["T1.service"] = known(argv, "activating")
    before = time.time
    assert find(host, time).service.state == "activating"
    assert 10 <= time.time - before < 11


def test_a_family_of_processes(host: FakeHost) -> None:
    for pid, parent in ((10, 1), (11, 10), (12, 11), (13, 1), (14, 12)):
        run(host, "x", pid=pid, parent=parent)
    assert agent.family_of(host, 10) == [10, 11, 12, 14]
