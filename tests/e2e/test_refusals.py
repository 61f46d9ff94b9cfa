# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The negative cases of issue 3, E.3, each with its expected end.

A story is one fleet and the runs over it, one after the other: what refuses before anything is touched shares a fleet, and what
is repaired is run again to its end. The witness watches each story as a whole: nobody is refused but the edges named.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pytest
import yaml
from e2e import plays
from e2e.looks import Looks, pins
from lab.fleet import inventory
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec
from lab.fleet.tentacles import configuration_of
from lab.waiting import until
from lab.wire.certificates import make_certificate, to_pfx

ROLE = "octofleet.octopus.rotate_server_certificate : "
WAVES = {"octopus_waves": [1, "100%"]}
NOISE = ("Traceback", "Error while evaluating", "is undefined", "has no attribute", "noop task does not support", "<<error")
OLD, BOTH, NEW = ("old",), ("old", "new"), ("new",)


def nothing(*_args: object) -> None:
    """Nothing is done to the fleet."""


@dataclass(frozen=True)
class Case:
    """One run, and how it must end."""

    name: str
    says: tuple[str, ...]  # what a person must read; {old} and {new} stand for the thumbprints
    rc: int = 2
    phase: str | None = "EXPAND"  # of the report; None: a gate could not judge, and left its word instead
    trust: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # host -> what its disk trusts of the Server
    switched: bool = False  # whether every node presents the new certificate
    plan: bool = False  # whether it is a run without octopus_commit, which ends well and reaches nothing
    untouched: bool = False  # whether no byte and no process has changed
    retire: str = "{old}"
    arguments: tuple[str, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    faults: Mapping[str, Any] = field(default_factory=dict)  # while it runs
    before: Callable[[Fleet], None] = nothing
    during: Callable[[Fleet, plays.Running], None] = nothing
    shows: Callable[[Fleet, plays.Play], None] = nothing  # what else must be seen afterwards


class Story(NamedTuple):
    name: str
    fleet: FleetSpec
    cases: tuple[Case, ...]
    afterwards: Callable[[Fleet], None] = nothing
    cut_off: tuple[str, ...] = ()  # hosts whose edges the witness must see refused, and nobody else's
    back_off: float = 0.0  # seconds that polling Tentacles are announced to be away for after a node's restart


# -- what is done to a fleet between two runs, and during one


def await_start(running: plays.Running, task: str, host: str) -> None:
    wanted = {"event": "start", "task": ROLE + task, "host": host}
    until(lambda: any(wanted.items() <= event.items() for event in running.events()), 240, every=0.05, what=f"the task {task!r} on {host}")


def tear(host: str) -> Callable[[Fleet], None]:
    """As a vendor command that was killed in the middle of its write leaves it."""

    def act(fleet: Fleet) -> None:
        file = fleet.paths(host).configuration
        file.with_suffix(".whole").write_bytes(file.read_bytes())
        os.truncate(file, 1500)

    return act


def mend_all(fleet: Fleet) -> None:
    """web-02 whole, web-03 reachable, web-04 started, web-05 restarts again, web-06 asks again, gone-01 in the inventory."""
    file = fleet.paths("web-02").configuration
    file.write_bytes(file.with_suffix(".whole").read_bytes())
    fleet.tentacle("web-03").reachable = True
    fleet.tentacle("gone-01").in_inventory = True
    fleet.inventory.write_text(yaml.safe_dump(inventory.inventory(fleet.folders, fleet.plan, fleet.backup_password, None)), encoding="utf-8")
    fleet.unit("web-04").start()
    fleet.fault("restart_ok_but_old", None)
    fleet.fault("tentacle_accepts_anybody", None)


def over_websocket(host: str) -> Callable[[Fleet], None]:
    """A polling Tentacle that comes through a WebSocket, and yet pins the Server certificate."""

    def act(fleet: Fleet) -> None:
        configuration = configuration_of(fleet.folders, fleet.tentacle(host))
        address = f"wss://{fleet.server.nodes[0].address}:443/OctopusComms"
        configuration.set_trusted_servers([replace(entry, address=address) for entry in configuration.trusted_servers])

    return act


def hasten_deletion(fleet: Fleet) -> None:
    """The policy deletes unavailable machines after a minute, sooner than any rotation ends."""
    database = fleet.database()
    policy = next(each for each in database.documents("MachinePolicies") if each["Name"] == "Delete")
    cleanup = {**policy["MachineCleanupPolicy"], "DeleteMachinesElapsedTimeSpan": "00:01:00"}
    database.change(policy["Id"], lambda document: {**document, "MachineCleanupPolicy": cleanup})
    database.close()


def end_deletion(fleet: Fleet) -> None:
    database = fleet.database()
    policy = next(each for each in database.documents("MachinePolicies") if each["Name"] == "Delete")
    cleanup = {**policy["MachineCleanupPolicy"], "DeleteMachinesBehavior": "DoNotDelete"}
    database.change(policy["Id"], lambda document: {**document, "MachineCleanupPolicy": cleanup})
    database.close()


def start_node(name: str) -> Callable[[Fleet], None]:
    return lambda fleet: fleet.unit(name).start()


def third_for_new(fleet: Fleet, running: plays.Running) -> None:
    """Importing the new certificate, once it is staged, installs a third; importing any other works."""
    await_start(running, "Judge: switch", "node-1")
    staged = next(file.stem for file in (fleet.root / "store").glob("*.pfx") if file.stem != fleet.server.certificate.thumbprint)
    fleet.fault("import_third", staged)


def no_third(fleet: Fleet) -> None:
    fleet.fault("import_third", None)


def finish_when_waited_for(fleet: Fleet, running: plays.Running) -> None:
    """The deployment on web-02 ends once its wave waits for it."""
    await_start(running, "Judge: expand", "web-02")
    fleet.finish_tasks()


def start_left_behind(fleet: Fleet) -> None:
    """Whoever was left behind comes back, and is cut off as the report said."""
    fleet.unit("web-02").start()
    until(lambda: any("web-02" in edge for edge in fleet.witness.report().refused()), 30, every=0.1, what="the edge that was left behind")


def pfx(kind: str) -> Callable[[Fleet], None]:
    """A PFX for octopus_pfx in the fleet's folder, its password ``secret``."""

    def act(fleet: Fleet) -> None:
        keypair = make_certificate("A Server to be", 1024 if kind == "weak" else 2048, algorithm="ec" if kind == "ec" else "rsa")
        data = to_pfx(keypair, "secret") if kind != "keyless" else _keyless()
        (fleet.root / "tmp").mkdir(exist_ok=True)
        (fleet.root / "tmp" / f"{kind}.pfx").write_bytes(data)

    return act


def _keyless() -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

    only = x509.load_der_x509_certificate(make_certificate("A Server to be").der)
    return pkcs12.serialize_key_and_certificates(None, None, only, None, BestAvailableEncryption(b"secret"))


def from_pfx(kind: str, password: str = "secret") -> Mapping[str, Any]:
    return {"octopus_new_certificate": "pfx", "octopus_pfx": f"{{{{ inventory_dir }}}}/tmp/{kind}.pfx", "octopus_pfx_password": password}


# -- the table

ASKED_WRONGLY = Story(
    "asked wrongly",
    FleetSpec(tentacles=2, spaces=("Default", "Finance"), quirks=("busy:web-02", "delete_policy:web-01")),
    (
        Case(
            "a space that the key sees is not listed",
            ("Refused to switch the Server certificate. The spaces listed", "Finance  the API key sees it, octopus_spaces does not list it"),
            phase="IDLE",
            untouched=True,
            variables={"octopus_spaces": ["Default"]},
        ),
        Case(
            "a space that the key does not see is listed",
            ("Ops  octopus_spaces lists it, the API key does not see it", "Give the key rights in that space."),
            phase="IDLE",
            untouched=True,
            variables={"octopus_spaces": ["Default", "Finance", "Ops"]},
        ),
        Case(
            "leave_behind names a healthy one, a pattern, and gives no reason",
            (
                "octopus_leave_behind names what may not be left behind",
                "web-01  web-01/* answers on the wire",
                "web-*   no Tentacle or record of the roster has exactly this name",
                "web-02  no reason is given",
            ),
            phase="IDLE",
            untouched=True,
            variables={"octopus_leave_behind": {"web-01": "it is old", "web-*": "all", "web-02": ""}},
        ),
        Case(
            "a policy deletes unavailable machines too soon",
            ("A machine policy deletes unavailable machines too soon", "Delete in space Default  it deletes machines that are unavailable for 60 s"),
            phase="IDLE",
            untouched=True,
            before=hasten_deletion,
        ),
        Case(
            "octopus_busy=refuse with a running task",
            ("Not every Tentacle of the step is idle", "task ServerTasks-1 is running on it, says the Server"),
            phase="IDLE",
            untouched=True,
            before=end_deletion,
            variables={"octopus_busy": "refuse"},
        ),
        Case(
            "a thumbprint that is seen nowhere",
            ("ABABABABABABABABABABABABABABABABABABABAB is unknown: no node presents it", "Correct octopus_retire."),
            phase=None,
            untouched=True,
            retire="AB" * 20,
        ),
        Case(
            "no thumbprint at all",
            ("octopus_commit=true needs octopus_retire.", "the plan prints the whole command"),
            phase=None,
            untouched=True,
            retire="",
        ),
    ),
)

STYLES = Story(
    "Tentacles that cannot be given a second pin",
    FleetSpec(tentacles=1, polling=2, quirks=("kubernetes_record:k8s",)),
    (
        Case(
            "the plan knows polling, WebSocket and Kubernetes ones apart",
            (
                "4 instances on 3 hosts (1 listening, 1 kubernetes, 1 polling, 1 websocket)",
                "+ can be made to trust the new certificate      2",
                "poll-02/Tentacle-poll-02  NOT_SWITCHABLE  it polls over a WebSocket",
                "k8s                       NOT_SWITCHABLE  Kubernetes: the agent pins the Server certificate",
                "then the polling ones: canary poll-01.",
                "polling ones: away for up to 12 s after each node's restart",
                "Refused for now: the Server certificate will not be switched.",
            ),
            rc=0,
            phase="IDLE",
            plan=True,
            untouched=True,
            before=over_websocket("poll-02"),
        ),
        Case(
            "polling, WebSocket and Kubernetes in the roster, where polling ones are not to be touched",
            (
                "Refused to switch the Server certificate. Not every Tentacle can be made to trust the new certificate",
                "poll-01  NOT_SWITCHABLE: it polls the Server",
                "poll-02  NOT_SWITCHABLE: it polls the Server",
                "k8s      NOT_SWITCHABLE: Kubernetes: the agent pins the Server certificate",
            ),
            phase="IDLE",
            untouched=True,
            variables={"octopus_polling_strategy": "refuse"},
        ),
        Case(
            "a WebSocket that pins the Server certificate is found when its host is visited",
            (
                "Refused to switch the Server certificate. Not every Tentacle can be made to trust the new certificate",
                "poll-02/Tentacle-poll-02  NOT_SWITCHABLE: it polls over a WebSocket",
                "left behind, will be cut off by the switch: k8s",
            ),
            trust={"web-01": ("old", "new"), "poll-01": ("old", "new"), "poll-02": ("old",)},
            variables={"octopus_leave_behind": {"k8s": "it gets its certificate by hand"}},
        ),
    ),
)

BROKEN = Story(
    "Tentacles that cannot go on",
    FleetSpec(
        tentacles=6,
        quirks=("unreachable_host:web-03", "stopped_service:web-04", "restart_without_effect:web-05", "open_door:web-06", "unmanaged_record:gone-01"),
    ),
    (
        Case(
            "torn, unreachable, stopped, old process, open door, on no host of the inventory",
            (
                "Refused to switch the Server certificate. 2 Tentacles cannot be accounted for",
                "gone-01  UNMANAGED_TENTACLE:",
                "is on no host of the inventory",
                "web-03   the host was not visited in this run",
                "Make it reachable for Ansible",
                "5 of 7 Tentacles do not yet trust",
                "disk: not readable; process: not seen",
                "-> CONFIGURATION_UNREADABLE: The configuration",
                "restore a copy of the file before that",
                "-> SERVICE_STOPPED: Tentacle-web-04 is not ready for a restart",
                "octo_service state=started",
                "disk: trusted; process: started",
                "-> RESTART_INEFFECTIVE:",
                "the process is still the old one",
                "web-06/Tentacle-web-06  a random certificate is accepted at",
                "a Tentacle that lets anybody in",
                "Nothing was changed by this step. 2 trust both certificates, 1 trusts the old one only, 1 is to be restarted.",
            ),
            before=tear("web-02"),
            trust={"web-01": BOTH, "web-03": OLD, "web-04": OLD, "web-05": BOTH, "web-06": BOTH, "gone-01": OLD},
        ),
        Case(
            "run again once all of them are mended",
            ("7 of 7 healthy; old certificate removed and refused on 7 of 7",),
            rc=0,
            phase="DONE",
            before=mend_all,
            switched=True,
            trust=dict.fromkeys(("web-01", "web-02", "web-03", "web-04", "web-05", "web-06", "gone-01"), NEW),
        ),
    ),
)

CANARY = Story(
    "the canary goes wrong",
    FleetSpec(tentacles=2, quirks=("restart_without_effect:web-01",)),
    (
        Case(
            "no further wave is visited",
            ("Not visited: web-02. The visit of web-01/Tentacle-web-01 went wrong after it had begun:", "the process is still the old one"),
            trust={"web-01": BOTH, "web-02": OLD},
        ),
    ),
)

KEYS = Story(
    "a PFX that will not do",
    FleetSpec(tentacles=1),
    (
        Case(
            "wrong password",
            ("Went wrong on node-1: The password does not open the PFX", "The store does not hold both certificates"),
            phase="IDLE",
            trust={"web-01": OLD},
            before=pfx("good"),
            variables=from_pfx("good", "wrong"),
        ),
        Case(
            "no key",
            ("Went wrong on node-1: The PFX", "holds no private key, only certificates"),
            phase="IDLE",
            trust={"web-01": OLD},
            before=pfx("keyless"),
            variables=from_pfx("keyless"),
        ),
        Case(
            "EC key",
            ("Went wrong on node-1: The PFX", "holds an EC key. Octopus Server and Tentacle take RSA keys only"),
            phase="IDLE",
            trust={"web-01": OLD},
            before=pfx("ec"),
            variables=from_pfx("ec"),
        ),
        Case(
            "RSA 1024",
            ("Went wrong on node-1: The PFX", "holds an RSA key of 1024 bits", "use 2048 bits or more"),
            phase="IDLE",
            trust={"web-01": OLD},
            before=pfx("weak"),
            variables=from_pfx("weak"),
        ),
        Case("a good one", ("1 of 1 healthy",), rc=0, phase="DONE", switched=True, trust={"web-01": NEW}, variables=from_pfx("good")),
    ),
)

SERVER = Story(
    "the Server does not do as it was told",
    FleetSpec(tentacles=1, nodes=2),
    (
        Case(
            "the import installs a third certificate",
            (
                "Went wrong on node-1: After the import of {new} the Octopus Server's database then held",
                "so {old} was imported again at once and read back",
            ),
            phase="PROVEN",
            trust={"web-01": BOTH},
            during=third_for_new,
        ),
        Case(
            "a node stays down after the switch",
            (
                "Went wrong on node-2: The service is not restarted",
                "1 node of 2 does not present",
                "node-2  nobody answers at its port for Tentacles (wire)",
                "Nobody is locked out",
            ),
            phase="COMMIT",
            trust={"web-01": BOTH},
            before=no_third,
            variables={"octopus_node_timeout": 10},
            faults={"node_stays_down": ["node-2"]},
        ),
        Case(
            "run again once it is back",
            ("2 of 2 nodes present the new certificate",),
            rc=0,
            phase="DONE",
            switched=True,
            trust={"web-01": NEW},
            before=start_node("node-2"),
        ),
    ),
)

PART = Story(
    "a part of the playbook, on a fleet that trusts both and whose Server has not switched",
    FleetSpec(tentacles=1),
    (
        Case(
            "the import succeeds without effect",
            ("Went wrong on node-1: The import of {new} had no effect: the Octopus Server's database still holds {old}.",),
            phase="PROVEN",
            trust={"web-01": BOTH},
            faults={"import_no_effect": True},
        ),
        Case(
            "--limit to a Tentacle",
            ("The rotation was started with --limit web-01.", "Run it without --limit."),
            phase=None,
            untouched=True,
            trust={"web-01": BOTH},
            arguments=("--limit", "web-01"),
        ),
        Case(
            "--limit to the Tentacles, which skips every play of the Server",
            ("The rotation was started with --limit octopus_tentacles.",),
            phase=None,
            untouched=True,
            trust={"web-01": BOTH},
            arguments=("--limit", "octopus_tentacles"),
        ),
        Case(
            "--tags",
            ("The rotation was started with --tags contract. No tag selects a part of it",),
            phase=None,
            untouched=True,
            trust={"web-01": BOTH},
            arguments=("--tags", "contract"),
        ),
        Case(
            "--start-at-task in the middle of expand, on a fleet that trusts both",
            ("octo_trust was asked for state=present on web-01 with neither a permit nor thumbprints.", "run the whole playbook"),
            phase=None,
            trust={"web-01": BOTH},
            arguments=("--start-at-task", f"{ROLE}Trust the new certificate, restart, prove"),
        ),
        Case(
            "--start-at-task at the switch",
            ("Went wrong on node-1: octo_certificate was asked to activate a certificate without a permit.",),
            phase="PLANNED",
            untouched=True,
            trust={"web-01": BOTH},
            arguments=("--start-at-task", f"{ROLE}Activate the new certificate"),
        ),
        Case(
            "--start-at-task at the removal, which no gate has aimed at anybody",
            ("No matching task",),
            rc=0,
            phase="nothing ran",
            untouched=True,
            trust={"web-01": BOTH},
            arguments=("--start-at-task", f"{ROLE}Stop trusting the old certificate, restart, prove"),
        ),
        Case(
            "--skip-tags always, which skips every gate",
            (
                "octo_trust was asked for state=present on web-01 with neither a permit nor thumbprints.",
                "No gate of this run has judged (--skip-tags)",
            ),
            phase="nothing ran",
            untouched=True,
            trust={"web-01": BOTH},
            arguments=("--skip-tags", "always"),
        ),
    ),
)

BUSY = Story(
    "a Tentacle in the middle of a deployment",
    FleetSpec(tentacles=2, quirks=("busy:web-02",)),
    (
        Case(
            "octopus_busy=skip",
            (
                "Refused to make web-02 trust",
                "task ServerTasks-1 is running on it, says the Server",
                "Wait until task ServerTasks-1 that runs on it has ended",
            ),
            trust={"web-01": BOTH, "web-02": OLD},
            variables={"octopus_busy": "skip"},
        ),
        Case(
            "octopus_busy=wait",
            ("2 of 2 healthy",),
            rc=0,
            phase="DONE",
            switched=True,
            trust={"web-01": NEW, "web-02": NEW},
            during=finish_when_waited_for,
        ),
    ),
)

ODD = Story(
    "odd, and rotated all the same",
    FleetSpec(
        tentacles=5,
        quirks=(
            "lower_case_pin:web-01",
            "duplicate_entry:web-02",
            "cloned_certificate:web-03",
            "two_names:web-04",
            "websocket_entry:web-04",
            "hidden_space_record:web-05",
            "disabled_record:web-02",
        ),
    ),
    (
        Case(
            "lower case, twice, a clone, two names, a WebSocket entry, a record that the key does not see",
            ("old certificate removed and refused on 5 of 5", "on 5 Tentacles in"),
            rc=0,
            phase="DONE",
            switched=True,
            trust={f"web-0{number}": NEW for number in range(1, 6)},
        ),
    ),
)

LEFT = Story(
    "left behind rightly",
    FleetSpec(tentacles=2, quirks=("stopped_service:web-02", "kubernetes_record:k8s")),
    (
        Case(
            "a stopped Tentacle and a Kubernetes agent, each by name and with a reason",
            (
                'left behind, cut off: web-02 (reason given: "off since March")',
                'left behind, cut off: k8s (reason given: "redeployed on Monday")',
                "on 1 Tentacle in",
            ),
            rc=0,
            phase="DONE",
            switched=True,
            trust={"web-01": NEW, "web-02": OLD},
            variables={"octopus_leave_behind": {"web-02": "off since March", "k8s": "redeployed on Monday"}},
        ),
    ),
    start_left_behind,
    ("web-02",),
)

STORIES = (ASKED_WRONGLY, STYLES, BROKEN, CANARY, KEYS, SERVER, PART, BUSY, ODD, LEFT)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name.replace(" ", "-").replace(",", ""))
def test_each_case_ends_as_it_must(story: Story) -> None:
    with Fleet(story.fleet) as fleet:
        fleet.start_witness(back_off=story.back_off)
        for case in story.cases:
            _play(fleet, case)
        story.afterwards(fleet)
        refused = fleet.stop_witness().refused()
    assert {name.split()[1].partition("/")[0] for name in refused} == set(story.cut_off)


def _play(fleet: Fleet, case: Case) -> None:
    old = fleet.server.certificate.thumbprint
    case.before(fleet)
    for name, value in case.faults.items():
        fleet.fault(name, value)
    before = Looks.of(fleet)
    asked = {"octopus_retire": case.retire.format(old=old)} if case.retire else {}
    running = plays.start(fleet, plays.ROTATE, *case.arguments, variables={**WAVES, "octopus_commit": not case.plan, **asked, **case.variables})
    case.during(fleet, running)
    play = running.finish()
    for name in case.faults:
        fleet.fault(name, None)
    try:
        _judge(fleet, case, play, old, before)
    except AssertionError as error:
        raise AssertionError(f"{case.name}: {error}\n{play.text}") from error


def _judge(fleet: Fleet, case: Case, play: plays.Play, old: str, before: Looks) -> None:
    new = next((file.stem for file in (fleet.root / "store").glob("*.pfx") if file.stem != old), "no new one")
    assert play.rc == case.rc
    for fragment in case.says:
        assert fragment.format(old=old, new=new) in play.text, f"nobody is told {fragment!r}"
    for noise in NOISE:
        assert noise not in play.text, f"a person must not read {noise!r}"
    _judge_report(case, play, old)
    for host, names in case.trust.items():
        assert pins(fleet, host) == sorted({"old": old, "new": new}[name] for name in names), f"{host} trusts something else"
    database = fleet.database()
    presented = {node.loaded for node in database.nodes()}
    database.close()
    assert (presented == {new}) is case.switched, f"the nodes present {presented}"
    if case.untouched:
        assert Looks.of(fleet).since(before) == []
    case.shows(fleet, play)


def _judge_report(case: Case, play: plays.Play, old: str) -> None:
    if case.phase == "nothing ran":
        assert play.report == {}
        return
    assert play.report.get("phase") == case.phase
    assert play.report["reached"] is (case.rc == 0 and not case.plan)
    assert all(line in play.text for line in play.report["lines"])
    if case.rc and case.retire == "{old}":
        for way in ("To go on:    ansible-playbook octofleet.octopus.rotate", "To go back:  ansible-playbook octofleet.octopus.roll_back"):
            assert any(line.startswith(way) for line in play.report["lines"]), f"no command {way!r}"
        assert f"octopus_retire={old} " in play.text
