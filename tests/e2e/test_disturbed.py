# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What comes in the way of a rotation from outside, each with its expected end (issue 3, E.3; the table is read as that of test_refusals)."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.octofleet.octopus.plugins.module_utils._host import PosixHost
from e2e import plays, test_refusals
from e2e.looks import Looks, pins
from e2e.test_refusals import BOTH, NEW, OLD, Case, Story
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec
from lab.wire.certificates import make_certificate

# -- what is done to a fleet between two runs


def started_once(fleet: Fleet, host: str) -> bool:
    """Whether the process on a host is the one that the fleet began with."""
    return fleet.paths(host).log.read_text(encoding="utf-8").count("==== RunAgentCommand ====") == 1


def bring_it_up(fleet: Fleet) -> None:
    """What was imported is still there: nobody has taken it back."""
    database = fleet.database()
    assert database.certificate().thumbprint != fleet.server.certificate.thumbprint
    database.close()
    fleet.unit("node-1").start()


def finish_the_task(fleet: Fleet) -> None:
    assert started_once(fleet, "web-02"), "a restart would have cut the deployment"
    fleet.finish_tasks()


def kept(fleet: Fleet) -> Path:
    return fleet.paths("web-02").configuration.with_suffix(".kept")


def make_a_new_identity(fleet: Fleet) -> None:
    """As somebody does who believes that the command renews the certificate."""
    paths = fleet.paths("web-02")
    kept(fleet).write_bytes(paths.configuration.read_bytes())
    done = fleet.run(["Tentacle", "new-certificate", f"--instance={paths.instance}"], host="web-02")
    assert done.returncode == 0, done.stderr


def restore_the_identity(fleet: Fleet) -> None:
    assert started_once(fleet, "web-02"), "a restart would have made the new identity effective"
    fleet.paths("web-02").configuration.write_bytes(kept(fleet).read_bytes())


# -- the table

DOWN = Story(
    "the only node stays down",
    FleetSpec(tentacles=1),
    (
        Case(
            "the run stops, says so, and names the way back",
            (
                "Went wrong on node-1: The service is not restarted",
                "could not be asked for the Server nodes: the connection is refused",
                "This run has removed the old certificate from no Tentacle, and it rolls nothing back by itself.",
                "To go back:  ansible-playbook octofleet.octopus.roll_back_server_certificate -e octopus_retire={new} -e octopus_commit=true",
            ),
            phase=None,
            trust={"web-01": BOTH},
            variables={"octopus_node_timeout": 5, "octopus_api_patience": 2},
            faults={"node_stays_down": ["node-1"]},
        ),
        Case(
            "run again once it is up",
            ("1 of 1 node presents the new certificate", "old certificate removed and refused on 1 of 1"),
            rc=0,
            phase="DONE",
            switched=True,
            trust={"web-01": NEW},
            before=bring_it_up,
        ),
    ),
)

BUSY = Story(
    "a deployment that does not end",
    FleetSpec(tentacles=2, quirks=("busy:web-02",)),
    (
        Case(
            "octopus_busy=wait until octopus_busy_wait is over",
            (
                "Refused to make web-02 trust",
                "task ServerTasks-1 is running on it, says the Server",
                "web-02  the host was not visited in this run",
                "-> Wait until task ServerTasks-1 that runs on it has ended, then run it again.",
                "1 trusts both certificates. Nobody that could be read is locked out; not read: web-02/*.",
            ),
            trust={"web-01": BOTH, "web-02": OLD},
            variables={"octopus_busy_wait": 1},
        ),
        Case(
            "run again once it has ended",
            ("2 of 2 healthy; old certificate removed and refused on 2 of 2",),
            rc=0,
            phase="DONE",
            switched=True,
            trust={"web-01": NEW, "web-02": NEW},
            before=finish_the_task,
        ),
    ),
)

IDENTITY = Story(
    "an identity that was made anew on the disk",
    FleetSpec(tentacles=2),
    (
        Case(
            "it is not restarted into",
            (
                "web-02/Tentacle-web-02",
                "-> IDENTITY_CHANGED: The running process of Tentacle-web-02 presents",
                "Restore the certificate; or restart the Tentacle by hand",
            ),
            trust={"web-01": BOTH, "web-02": OLD},
            before=make_a_new_identity,
        ),
        Case(
            "run again once the certificate is back",
            ("2 of 2 healthy; old certificate removed and refused on 2 of 2",),
            rc=0,
            phase="DONE",
            switched=True,
            trust={"web-01": NEW, "web-02": NEW},
            before=restore_the_identity,
        ),
    ),
)

STORIES = (DOWN, BUSY, IDENTITY)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name.replace(" ", "-"))
def test_each_case_ends_as_it_must(story: Story) -> None:
    test_refusals.test_each_case_ends_as_it_must(story)


# -- a task of its own

BY_HAND = [
    {
        "hosts": "octopus_tentacles",
        "gather_facts": False,
        "tasks": [
            {
                "name": "Trust another Server",
                "octofleet.octopus.octo_trust": {
                    "thumbprints": ["{{ pin }}"],
                    "instance": "*",
                    "lock_timeout": 1,
                    "executable": "{{ octopus_tentacle_executable }}",
                    "machine_configuration_home": "{{ octopus_machine_configuration_home }}",
                    "machine_id_file": "{{ octopus_machine_id_file }}",
                },
            }
        ],
    }
]


def test_a_configuration_that_another_run_works_on_is_left_to_it() -> None:
    """Our own lock is held from the reading to the proof (decision 29): who comes second waits, then says whom it met, and has done nothing."""
    pin = make_certificate("Another Server").thumbprint
    with Fleet(FleetSpec(tentacles=1)) as fleet:
        fleet.start_witness()
        old, configuration = fleet.server.certificate.thumbprint, fleet.paths("web-01").configuration
        playbook = fleet.root / "by_hand.yml"
        playbook.write_text(yaml.safe_dump(BY_HAND), encoding="utf-8")
        before = Looks.of(fleet)
        with PosixHost().exclusively(str(configuration)):
            refused = plays.play(fleet, str(playbook), variables={"pin": pin})
        assert Looks.of(fleet).since(before) == []
        (result,) = refused.results("octo_trust")
        (row,) = result["result"]["instances"]
        assert (refused.rc, row["ok"], row["code"], row["changed"], row["restarted"]) == (2, False, "IN_USE", False, False)
        assert row["reason"].startswith(f"{configuration} is being changed by another run (process ")
        assert row["reason"].endswith("which did not end within 1 seconds. Nothing was changed here. Wait for the other run to end, then run again.")
        again = plays.play(fleet, str(playbook), variables={"pin": pin})
        assert again.rc == 0, again.text
        assert pins(fleet, "web-01") == sorted([old, pin])
        assert fleet.stop_witness().refused() == {}
