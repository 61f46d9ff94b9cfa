# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real estates, each on the smallest fleet that shows it (issue 4, C.1 and C.2): several instances on a host, several Servers on a Tentacle,
several records of one, several names of a machine, several nodes, an account of its own, and what is not judged by Tentacles alone.

The tables are read as that of test_refusals.
"""

from __future__ import annotations

import json
import os
import pwd
from itertools import pairwise

import pytest
from e2e import estates, plays, test_refusals
from e2e.looks import Starts, others, pins
from e2e.test_polling import GAP
from e2e.test_refusals import BOTH, NEW, OLD, Case, Story
from e2e.test_vantage import set_of_host
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec

pytestmark = pytest.mark.estate  # too long for `make test`
VISITS = ["octo_trust", "octo_trust"]
PAUSE = 4.0  # seconds


def life(fleet: Fleet, host: str, instance: str) -> tuple[int, bytes, list[str]]:
    """The process of an instance, the bytes of its configuration, and what lies beside it."""
    file = fleet.paths(host, instance).configuration
    return fleet.unit(host, instance).pid, file.read_bytes(), sorted(path.name for path in file.parent.iterdir())


def acted(play: plays.Play, *hosts: str) -> list[str]:
    """The names of a machine under which a visit changed something, in order."""
    return [event["host"] for event in play.results("octo_trust") if event["host"] in hosts and event["result"]["changed"]]


def edges(play: plays.Play) -> dict[str, list[str]]:
    """The records of each Tentacle of the report."""
    return {row["name"]: row["records"] for row in play.report["tentacles"]}


def test_several_instances_on_a_host_that_serves_several_servers() -> None:
    """One listens to two Servers and polls the foreign one, too; one polls; one is the foreign Server's alone, and stays so to the byte."""
    quirks = ("foreign_server:web-01", "foreign_polling:web-01", "polling_instance:web-01", "foreign_instance:web-01")
    with Fleet(FleetSpec(tentacles=1, quirks=quirks)) as fleet:
        fleet.start_witness(back_off=GAP)
        old = fleet.server.certificate.thumbprint
        stranger, foreign = life(fleet, "web-01", "Foreign-web-01"), others(fleet, "web-01")
        assert sorted(bool(json.loads(entry)["Address"]) for entry in foreign) == [False, True], "one entry that polls, one that does not"

        play = plays.commit(fleet, old)
        new = play.report["new"]
        assert play.rc == 0, play.text
        assert sorted(edges(play)) == ["web-01/Polling-web-01", "web-01/Tentacle-web-01"]
        assert play.visits("web-01") == VISITS
        assert play.report["proofs"] == {"wire": 1, "log": 1}
        assert "1 foreign pin untouched" in play.text
        assert pins(fleet, "web-01") == [new]
        assert [entry.thumbprint for entry in fleet.trust("web-01", "Polling-web-01")] == [new]
        assert others(fleet, "web-01") == foreign
        assert life(fleet, "web-01", "Foreign-web-01") == stranger
        witness = fleet.stop_witness()
        assert witness.ok, witness.failures
        assert witness.refused_seconds == 0
        assert {edge["server"] for edge in fleet.edges} == {"octopus", "foreign"}


def test_several_records_of_a_machine_that_has_two_names() -> None:
    """A target in two spaces, which is a worker, too, on a host that the inventory has twice: one Tentacle, one visit that acts, every record checked."""
    quirks = ("second_record:web-02", "worker_too:web-02", "two_names:web-02")
    names = ("web-02", "web-02-alias")
    with Fleet(FleetSpec(tentacles=2, spaces=("Default", "Finance"), quirks=quirks)) as fleet:
        fleet.start_witness()
        old = fleet.server.certificate.thumbprint
        assert len(estates.records(fleet)) == 4
        play = plays.commit(fleet, old, octopus_waves=[1, "100%"])
        new = play.report["new"]
        assert play.rc == 0, play.text
        assert {name: len(records) for name, records in edges(play).items()} == {"web-01/Tentacle-web-01": 1, "web-02/Tentacle-web-02": 3}
        assert {id for records in edges(play).values() for id in records} == estates.records(fleet)
        assert set().union(*estates.checked(fleet)) == estates.records(fleet)
        assert len(acted(play, *names)) == 2, "it was changed once in each round"
        assert [pins(fleet, host) for host in ("web-01", "web-02")] == [[new], [new]]
        again = plays.commit(fleet, old)
        assert (again.rc, again.changed) == (0, []), again.text
        assert fleet.stop_witness().refused() == {}


# -- nodes: imported once, restarted in turn, seen on the wire; one that is down blocks what it would be deaf to

CHECK = "Check the health of the Tentacles"


def stop_node_when_checked(fleet: Fleet, running: plays.Running) -> None:
    """It goes down after the switch, and before the removal is judged."""
    test_refusals.await_start(running, CHECK, "node-1")
    fleet.unit("node-2").stop()


def imported_once(fleet: Fleet) -> None:
    """Whatever the runs met, the certificate went into the database once; and the nodes were away one after the other."""
    assert [argv[0] for program, argv in Starts(fleet, whole=True).all() if program == "Octopus.Server"].count("import-certificate") == 1
    spans = estates.absences(fleet, "node-1", "node-2")
    assert len(spans) == 4, "restarted once each, and stopped twice by the test"
    assert estates.most_at_once(spans) == 1


NODES = Story(
    "a node that is down",
    FleetSpec(tentacles=1, nodes=2),
    (
        Case(
            "before the switch, which is refused",
            (
                "Refused to switch the Server certificate. Not every node answers with a certificate of this rotation:",
                "node-2  nobody answers at its port for Tentacles",
                "-> Start it, or remove it from the cluster.",
            ),
            phase="PROVEN",
            trust={"web-01": BOTH},
            before=lambda fleet: fleet.unit("node-2").stop(),
        ),
        Case(
            "after the switch, so that the removal is refused",
            (
                "Refused to remove",
                "1 node of 2 does not present",
                "node-2  nobody answers at its port for Tentacles (wire)",
                "-> Restart it, or remove it from the cluster.",
            ),
            phase="COMMIT",
            switched=True,
            trust={"web-01": BOTH},
            before=lambda fleet: fleet.unit("node-2").start(),
            during=stop_node_when_checked,
        ),
        Case(
            "run again once it is up",
            ("2 of 2 nodes present the new certificate", "old certificate removed and refused on 1 of 1"),
            rc=0,
            phase="DONE",
            switched=True,
            trust={"web-01": NEW},
            before=lambda fleet: fleet.unit("node-2").start(),
        ),
    ),
    imported_once,
)

# -- the nodes' roster (decisions 10)


def endpoint(fleet: Fleet, node: int) -> str:
    return f"{fleet.server.nodes[node].address}:{fleet.server.nodes[node].comms_port}"


def spelled_otherwise(fleet: Fleet) -> str:
    """The place of the first node, by another name of it."""
    first, *rest = map(int, fleet.server.nodes[0].address.split("."))
    return f"{first}.{rest[0] << 16 | rest[1] << 8 | rest[2]}:{fleet.server.nodes[0].comms_port}"


def foreign_endpoint(fleet: Fleet) -> str:
    return f"{fleet.foreign_server.nodes[0].address}:{fleet.foreign_server.nodes[0].comms_port}"


REFUSED = "Refused to switch the Server certificate. The Server's nodes are not all known:"
ROSTER = Story(
    "nodes that are not what the inventory says",
    FleetSpec(tentacles=1, nodes=2, foreign=1),
    (
        Case(
            "the inventory does not have one",
            (REFUSED, "node-2  the Server lists this node, the inventory does not", "Add it to the group octopus_server with its octopus_node_name."),
            phase="IDLE",
            untouched=True,
            before=estates.inventory_without("node-2"),
        ),
        Case(
            "the Server does not have one",
            (REFUSED, "node-3  the inventory names this node, the Server does not list it", "Correct octopus_node_name, or remove the host."),
            phase="IDLE",
            untouched=True,
            before=estates.inventory_with("node-2", "octopus_node_name", lambda fleet: "node-3"),
        ),
        Case(
            "a load balancer stands before both",
            (REFUSED, "node-1, node-2 share this endpoint", "Give each node its own octopus_node_endpoint."),
            phase="IDLE",
            untouched=True,
            before=estates.inventory_with("node-2", "octopus_node_endpoint", lambda fleet: endpoint(fleet, 0)),
        ),
        Case(
            "the same place by two names",
            (REFUSED, "node-1, node-2 share this endpoint", "Give each node its own octopus_node_endpoint."),
            phase="IDLE",
            untouched=True,
            before=estates.inventory_with("node-2", "octopus_node_endpoint", spelled_otherwise),
        ),
        Case(
            "a node of another Server answers where one should",
            (
                "A node presents",
                "which neither the Server's database holds (it holds {old}) nor the store.",
                "Correct the address, or restart that node",
            ),
            phase=None,
            untouched=True,
            before=estates.inventory_with("node-2", "octopus_node_endpoint", foreign_endpoint),
        ),
        Case(
            "a node of another installation",
            (REFUSED, "they answer for different installations", "Name the nodes of one Server only."),
            phase="IDLE",
            untouched=True,
            before=estates.inventory_with("node-2", "octopus_server_url", lambda fleet: fleet.foreign_server.nodes[0].url),
        ),
        Case(
            "as they are",
            ("2 of 2 nodes present the new certificate",),
            rc=0,
            phase="DONE",
            switched=True,
            trust={"web-01": NEW},
            before=estates.as_it_was,
        ),
    ),
)

# -- other Servers that may present the old certificate (decisions 18)

CLONE = f"{{{{ lookup('ansible.builtin.file', inventory_dir ~ '/{estates.ELSEWHERE}') }}}}"


def judged_and_done(fleet: Fleet, play: plays.Play) -> None:
    assert {row["name"].split()[0]: row["presents"] for row in play.report["known_servers"]} == {
        "clone": fleet.foreign_server.certificate.thumbprint,
        "archive": "AB" * 20,
    }
    assert "A Server restored from a backup" not in play.text


KNOWN = Story(
    "other Servers that are known",
    FleetSpec(tentacles=1, foreign=1, quirks=("upgrade_policy:web-01",)),
    (
        Case(
            "the plan says what is not judged, and what a policy may do",
            (
                "Not judged: whether another Server presents the old certificate (octopus_known_servers is not set).",
                "Warning: policy Upgrade in space Default may upgrade Tentacles after a health check.",
            ),
            rc=0,
            phase="IDLE",
            plan=True,
            untouched=True,
        ),
        Case(
            "one that does not answer, one with the old certificate, one that is named by its thumbprint",
            (
                "Refused to remove",
                "Another known Server may still present the old certificate:",
                "silent (127.0.0.1:9) ",
                "nobody answers at its port for Tentacles (wire)",
                "clone (127.",
                "it presents {old} (wire)",
                "archive ",
                "Rotate that Server too, or take it out of octopus_known_servers.",
                "1 of 1 healthy",
            ),
            phase="VERIFIED",
            switched=True,
            trust={"web-01": BOTH},
            before=estates.foreign_presents(lambda fleet: fleet.server.certificate),
            variables={"octopus_known_servers": {"silent": ["127.0.0.1:9"], "clone": [CLONE], "archive": ["{{ octopus_retire }}"]}},
        ),
        Case(
            "those that present others",
            ("old certificate removed and refused on 1 of 1",),
            rc=0,
            phase="DONE",
            switched=True,
            trust={"web-01": NEW},
            before=estates.foreign_presents(lambda fleet: fleet.foreign_server.certificate),
            variables={"octopus_known_servers": {"clone": [CLONE], "archive": ["AB" * 20]}},
            shows=judged_and_done,
        ),
    ),
)

# -- not ready for a restart, so not touched, and named (decisions 15)

UNREADY = ("web-02", "web-03", "web-04")


def were_not_touched(fleet: Fleet, play: plays.Play) -> None:
    assert estates.absences(fleet, *UNREADY) == []
    assert acted(play, *UNREADY) == []


READY = Story(
    "Tentacles that would not survive a restart as what they are",
    FleetSpec(tentacles=4, quirks=("missing_certificate:web-02", "missing_thumbprint:web-03", "other_machine_id:web-04")),
    (
        Case(
            "identity at risk, twice, and another machine id",
            (
                "web-02/Tentacle-web-02",
                "-> IDENTITY_AT_RISK: Tentacle-web-02 is not ready for a restart, so it was left as it is.",
                "-> IDENTITY_AT_RISK: Tentacle-web-03 is not ready for a restart, so it was left as it is.",
                "-> MACHINE_ID_CHANGED: Tentacle-web-04 is not ready for a restart, so it was left as it is.",
                "1 trusts both certificates, 3 trust the old one only.",
            ),
            trust={"web-01": BOTH, "web-02": OLD, "web-03": OLD, "web-04": OLD},
            shows=were_not_touched,
        ),
    ),
)

# -- an upgrade that a restart would finish (decisions 15)


def replace_program(fleet: Fleet) -> None:
    (fleet.root / "bin" / "Tentacle").touch()


def replace_program_and_allow_that_on_one(fleet: Fleet) -> None:
    set_of_host(fleet, "web-01", octopus_allow_upgrade=True)
    replace_program(fleet)


UPGRADE = Story(
    "Tentacles whose program was replaced",
    FleetSpec(tentacles=2),
    (
        Case(
            "one host allows the upgrade",
            (
                "-> HIDDEN_UPGRADE: Tentacle-web-02 is not ready for a restart, so it was left as it is.",
                "or set allow_upgrade=true (in the role's variables: octopus_allow_upgrade)",
                "1 trusts both certificates, 1 trusts the old one only.",
            ),
            trust={"web-01": BOTH, "web-02": OLD},
            before=replace_program_and_allow_that_on_one,
            shows=lambda fleet, play: was_left(fleet, play, "web-02"),
        ),
        Case(
            "run again with a word for all of them",
            ("2 of 2 healthy; old certificate removed and refused on 2 of 2",),
            rc=0,
            phase="DONE",
            switched=True,
            trust={"web-01": NEW, "web-02": NEW},
            variables={"octopus_allow_upgrade": True},
            before=replace_program,
        ),
    ),
)


def was_left(fleet: Fleet, play: plays.Play, host: str) -> None:
    assert estates.absences(fleet, host) == []
    assert acted(play, host) == []


# -- busy, though nobody has seen yet on which host (decisions 15)

BUSY = Story(
    "busy Tentacles that are not placed yet",
    FleetSpec(tentacles=2, polling=2, quirks=("two_names:web-02", "busy:web-02", "busy:poll-02")),
    (
        Case(
            "one on a machine with two names, one that polls",
            ("task ServerTasks-1 is running on it, says the Server", "task ServerTasks-2 is running on it, says the Server"),
            trust={"web-01": BOTH, "web-02": OLD, "poll-01": BOTH, "poll-02": OLD},
            variables={"octopus_busy": "skip"},
            shows=lambda fleet, play: was_cut_off(fleet),
        ),
        Case(
            "run again once their tasks have ended",
            ("4 of 4 healthy; old certificate removed and refused on 4 of 4",),
            rc=0,
            phase="DONE",
            switched=True,
            trust={"web-01": NEW, "web-02": NEW, "poll-01": NEW, "poll-02": NEW},
            before=lambda fleet: fleet.finish_tasks(),
        ),
    ),
    back_off=GAP,
)


def was_cut_off(fleet: Fleet) -> None:
    assert estates.absences(fleet, "web-02", "poll-02") == [], "a restart would have cut the deployment"


# -- an account of its own, which has a home and a certificate store of its own (decisions 15)


def shows_account(fleet: Fleet, play: plays.Play) -> None:
    name = pwd.getpwuid(os.getuid()).pw_name
    rows = [row for event in play.results("octo_trust") for row in event["result"]["instances"]]
    assert [row["service"]["user"] for row in rows] == [name, name]
    assert [path.name for path in estates.store_of_account(fleet, "web-01").iterdir()] == [f"{fleet.tentacle('web-01').thumbprint}.pfx"]
    assert not (fleet.paths("web-01").home_of_root / ".dotnet").exists(), "the service never was root's"


ACCOUNT = Story(
    "a service with an account of its own",
    FleetSpec(tentacles=1, quirks=("own_account:web-01",)),
    (
        Case(
            "its certificate store was given to somebody else",
            ("-> STORE_OWNER: Tentacle-web-01 is not ready for a restart", "home/.dotnet/corefx/cryptography/x509stores/my belongs to user id 65534"),
            phase="PLANNED",
            trust={"web-01": OLD},
            before=estates.give_store_to(65534, "web-01"),
        ),
        Case(
            "run again once it is its own",
            ("old certificate removed and refused on 1 of 1",),
            rc=0,
            phase="DONE",
            switched=True,
            trust={"web-01": NEW},
            before=estates.give_store_to(os.geteuid(), "web-01"),
            shows=shows_account,
        ),
    ),
)

# -- polling Tentacles that are left behind (decisions 5)

LEFT = Story(
    "polling Tentacles that are left behind",
    FleetSpec(tentacles=1, polling=2, quirks=("stopped_service:poll-01",)),
    (
        Case(
            "one that the Server calls healthy",
            ("octopus_leave_behind names what may not be left behind", "poll-02  Machines-3 (poll-02) in space Default is Healthy by its record"),
            phase="IDLE",
            untouched=True,
            variables={"octopus_leave_behind": {"poll-01": "off since March", "poll-02": "it is slow"}},
        ),
        Case(
            "one that the Server calls unavailable, and whose host answers",
            ("poll-02  its host answers, and poll-02/Tentacle-poll-02 runs there", "Take poll-02 out of octopus_leave_behind"),
            phase="PROVEN",
            trust={"web-01": BOTH, "poll-01": OLD, "poll-02": BOTH},
            before=estates.record_says("poll-02", HealthStatus="Unavailable", Status="Offline"),
            variables={"octopus_leave_behind": {"poll-01": "off since March", "poll-02": "it is slow"}},
        ),
        Case(
            "one that is stopped, with its reason",
            ('left behind, cut off: poll-01 (reason given: "off since March")', "on 2 Tentacles in"),
            rc=0,
            phase="DONE",
            switched=True,
            trust={"web-01": NEW, "poll-01": OLD, "poll-02": NEW},
            variables={"octopus_leave_behind": {"poll-01": "off since March"}},
        ),
    ),
    estates.start_and_await_refusal("poll-01"),
    ("poll-01",),
    GAP,
)

# -- no further step once it is late, and resumed from wherever that was (issue 4, C.4)

NO_FURTHER = "and octopus_stop_at (2000-01-01 00:00) lets no further step begin."
UNTIL = {"octopus_stop_at": f"{{{{ lookup('ansible.builtin.file', inventory_dir ~ '/{estates.CLOCK}') }}}}"}


def ends_for_the_time_alone(_fleet: Fleet, play: plays.Play) -> None:
    lines = play.report["lines"]
    assert any(line.endswith(NO_FURTHER) for line in lines)
    assert not any(line.startswith("Refused") for line in lines), "the report names no other reason"


LATER = Story(
    "a run for which it gets late",
    FleetSpec(tentacles=3),
    (
        Case(
            "before the second wave",
            (
                "Not visited: web-02, web-03. It is ",
                NO_FURTHER,
                "1 trusts both certificates. Nobody that could be read is locked out; not read: web-02/*, web-03/*.",
                "web-03  the host was not visited in this run: no task of this run visited it",
                "-> Run the whole playbook again.",
            ),
            trust={"web-01": BOTH, "web-02": OLD, "web-03": OLD},
            before=estates.there_is_time,
            during=estates.late_with("Trust the new certificate, restart, prove", "web-01"),
            variables=UNTIL,
            shows=ends_for_the_time_alone,
        ),
        Case(
            "before the switch",
            ("The Server certificate was not switched. It is ", NO_FURTHER, "3 trust both certificates."),
            phase="PROVEN",
            trust={"web-01": BOTH, "web-02": BOTH, "web-03": BOTH},
            before=estates.there_is_time,
            during=estates.late_with("Trust the new certificate, restart, prove", "web-03"),
            variables=UNTIL,
            shows=ends_for_the_time_alone,
        ),
        Case(
            "before the second wave of the removal",
            ("Not visited: web-02, web-03. It is ", NO_FURTHER, "2 trust both certificates, 1 trusts the new one only."),
            phase="CONTRACT",
            switched=True,
            trust={"web-01": NEW, "web-02": BOTH, "web-03": BOTH},
            before=estates.there_is_time,
            during=estates.late_with("Stop trusting the old certificate, restart, prove", "web-01"),
            variables=UNTIL,
            shows=ends_for_the_time_alone,
        ),
        Case(
            "run again with time enough",
            ("3 of 3 healthy; old certificate removed and refused on 3 of 3",),
            rc=0,
            phase="DONE",
            switched=True,
            trust={"web-01": NEW, "web-02": NEW, "web-03": NEW},
            before=estates.there_is_time,
            variables=UNTIL,
        ),
    ),
)

STORIES = (NODES, ROSTER, KNOWN, READY, UPGRADE, BUSY, LEFT, LATER)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name.replace(" ", "-"))
def test_each_case_ends_as_it_must(story: Story) -> None:
    test_refusals.test_each_case_ends_as_it_must(story)


def test_a_run_does_not_end_well_when_the_server_does_not_work_with_everybody_at_its_end() -> None:
    """Trusted, proved, switched, removed; and the check that follows fails, for somebody has changed the record meanwhile."""
    with Fleet(FleetSpec(tentacles=1)) as fleet:
        old = fleet.server.certificate.thumbprint
        running = plays.start(fleet, plays.ROTATE, variables={"octopus_retire": old, "octopus_commit": True})
        test_refusals.await_start(running, "Stop trusting the old certificate, restart, prove", "web-01")
        estates.record_expects("web-01", "AB" * 20)(fleet)
        play = running.finish()
        assert (play.rc, play.report["phase"], play.report["reached"]) == (2, "DONE", True), play.text
        assert "0 of 1 healthy; old certificate removed and refused on 1 of 1" in play.text
        assert "is reached, but the Server does not work with web-01/Tentacle-web-01 (health check at the end)" in play.text
        again = plays.commit(fleet, old)
        assert again.rc == 0, again.text
        assert "health not checked; old certificate removed and refused on 1 of 1" in again.text


def test_no_more_are_away_at_once_than_was_asked_for() -> None:
    """One wave without a bound of its own, one by its environment, one by a role; seen by when the processes went and came back. And a pause between."""
    quirks = ("last_environment:web-03", "last_environment:web-04", "other_role:web-06")
    bounds = {"total": 5, "environments": {"Staging": 1}, "roles": {"database": 1}}
    faults = {"restart_takes": 2}  # seconds: long enough for two that may be away together to meet
    with Fleet(FleetSpec(tentacles=6, environments=("Production", "Staging"), quirks=quirks, faults=faults)) as fleet:
        fleet.start_witness()
        old = fleet.server.certificate.thumbprint
        play = plays.commit(fleet, old, octopus_waves=[2], octopus_away_at_most=bounds, octopus_pause=PAUSE)
        assert play.rc == 0, play.text
        waves = (("web-01", "web-02"), ("web-03", "web-04"), ("web-05", "web-06"))
        both_rounds = [estates.absences(fleet, *wave) for wave in waves]
        assert [(len(spans), estates.most_at_once(spans)) for spans in both_rounds] == [(4, 2), (4, 1), (4, 1)]
        ordered = sorted(span for spans in both_rounds for span in spans)
        pauses = [after[0][0] - max(ended for _began, ended in before) for before, after in pairwise(zip(ordered[::2], ordered[1::2], strict=True))]
        assert len(pauses) == 5
        assert min(pauses) >= PAUSE, pauses
        assert fleet.stop_witness().refused() == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_service_with_an_account_of_its_own() -> None:
    test_refusals.test_each_case_ends_as_it_must(ACCOUNT)
