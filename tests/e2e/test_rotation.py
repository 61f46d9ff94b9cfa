# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rotation from its plan to its end and back again, over real processes and under the eyes of the witness (issue 3, D and E.2)."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from e2e import plays
from e2e.looks import Looks, Starts, others, pins
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec
from lab.waiting import until
from lab.wire.certificates import from_pfx, make_certificate, thumbprint_of, to_pfx

VISITS = ["octo_trust", "octo_trust"]
HALF_WAY = "octofleet.octopus.rotate_server_certificate : Judge: contract"


@dataclass(frozen=True)
class Stage:
    """A fleet, and the two certificates of the rotation over it; what is asserted here holds at the end of every run."""

    fleet: Fleet
    old: str
    new: str = ""

    def ends(self, play: plays.Play, *, on: str, report: bool = True) -> None:
        """Reached: every disk and every node has ``on`` and nothing else of the Server, and the report says so."""
        assert play.rc == 0, play.text
        assert play.report["reached"] is report
        assert {host: pins(self.fleet, host) for host in self.hosts} == {host: [on] for host in self.hosts}, play.text
        assert self.presented() == {on}

    @property
    def hosts(self) -> list[str]:
        return [tentacle.host for tentacle in self.fleet.tentacles]

    def presented(self) -> set[str | None]:
        database = self.fleet.database()
        try:
            return {node.loaded for node in database.nodes()}
        finally:
            database.close()

    def stored(self) -> set[str]:
        """Thumbprints of the certificates in the store that open with the backup password and have their key."""
        opened = [from_pfx(file.read_bytes(), self.fleet.backup_password) for file in (self.fleet.root / "store").glob("*.pfx")]
        return {thumbprint_of(pfx.certificate) for pfx in opened if pfx.key_pem and pfx.certificate}


def test_plan_rotation_and_the_way_back() -> None:
    """Three Tentacles, one of which trusts a foreign Server, too."""
    with Fleet(FleetSpec(tentacles=3, foreign=1)) as fleet:
        fleet.start_witness()
        stage = Stage(fleet, fleet.server.certificate.thumbprint)
        foreign = {host: others(fleet, host) for host in stage.hosts}
        assert sum(map(len, foreign.values())) == 1

        _a_plan_touches_nothing(stage)
        stage = _rotates(stage)
        _a_second_run_changes_nothing(stage)
        back = plays.commit(fleet, stage.new, playbook=plays.ROLL_BACK)
        stage.ends(back, on=stage.old)

        assert stage.stored() == {stage.old, stage.new}
        assert {host: others(fleet, host) for host in stage.hosts} == foreign
        witness = fleet.stop_witness()
        assert witness.ok, witness.failures
        assert witness.refused_seconds == 0


def _a_plan_touches_nothing(stage: Stage) -> None:
    """The plan, and check mode, which is the plan: no byte and no process anywhere."""
    before, starts = Looks.of(stage.fleet), Starts(stage.fleet)
    plan = plays.play(stage.fleet, plays.ROTATE)
    check = plays.commit(stage.fleet, stage.old, "--check")
    for play in (plan, check):
        assert play.rc == 0, play.text
        assert play.changed == []
        assert {host: play.visits(host) for host in stage.hosts} == {host: ["octo_instance_info"] for host in stage.hosts}
        assert f"retire {stage.old}, the Server certificate of" in play.text
        assert f"-e octopus_retire={stage.old} -e octopus_commit=true" in play.text
        assert play.report["phase"] == "IDLE"
    assert starts.writing() == []
    assert Looks.of(stage.fleet).since(before) == []


def _rotates(stage: Stage) -> Stage:
    play = plays.commit(stage.fleet, stage.old)
    stage = Stage(stage.fleet, stage.old, play.report["new"])
    stage.ends(play, on=stage.new)
    assert play.report["phase"] == "DONE"
    assert {host: play.visits(host) for host in stage.hosts} == dict.fromkeys(stage.hosts, VISITS)
    assert "3 of 3 healthy; old certificate removed and refused on 3 of 3; 1 foreign pin untouched" in play.text
    assert stage.stored() == {stage.old, stage.new}
    assert {file.stem for file in (stage.fleet.root / "backup").glob("*.pfx")} == {stage.old, stage.new}
    return stage


def _a_second_run_changes_nothing(stage: Stage) -> None:
    """Reached is reached: nothing is generated, written or restarted; only the health check leaves its task behind."""
    before, starts = Looks.of(stage.fleet), Starts(stage.fleet)
    play = plays.commit(stage.fleet, stage.old)
    stage.ends(play, on=stage.new)
    after = Looks.of(stage.fleet)
    assert play.changed == []
    assert starts.writing() == []
    assert (after.files, after.processes) == (before.files, before.processes)


@pytest.mark.proof
def test_two_nodes_and_back_from_the_middle_of_the_removal() -> None:
    """The removal on web-02 comes to nothing, so that web-01 trusts the new certificate only and web-02 still serves the old one."""
    with Fleet(FleetSpec(tentacles=2, nodes=2)) as fleet:
        fleet.start_witness()
        old = fleet.server.certificate.thumbprint
        running = plays.start(fleet, plays.ROTATE, variables={"octopus_retire": old, "octopus_commit": True, "octopus_waves": [1]})
        until(lambda: any(event["event"] == "start" and event["task"] == HALF_WAY for event in running.events()), 240, every=0.05, what=HALF_WAY)
        fleet.fault("restart_ok_but_old", [fleet.tentacle("web-02").unit])
        play = running.finish()
        fleet.fault("restart_ok_but_old", None)
        stage = Stage(fleet, old, play.report["new"])
        assert (play.rc, play.report["phase"]) == (2, "CONTRACT"), play.text
        assert "RESTART_INEFFECTIVE" in play.text
        assert stage.presented() == {stage.new}
        assert pins(fleet, "web-01") == [stage.new]

        back = plays.commit(fleet, stage.new, playbook=plays.ROLL_BACK)
        stage.ends(back, on=old)
        witness = fleet.stop_witness()
        assert witness.refused_seconds == 0, witness.failures


def test_a_server_in_a_container_with_a_certificate_of_a_ca() -> None:
    """The PFX has a chain, of which leaf and key are taken; the vendor's program is reached through the engine only."""
    with Fleet(FleetSpec(tentacles=1, container=True)) as fleet:
        fleet.start_witness()
        authority = make_certificate("Example CA")
        leaf = make_certificate("octopus.example.com", issuer=authority)
        chain = fleet.root / "chain.pfx"
        chain.write_bytes(to_pfx(leaf, "of the CA", (authority,)))
        old = fleet.server.certificate.thumbprint

        play = plays.commit(fleet, old, octopus_new_certificate="pfx", octopus_pfx=str(chain), octopus_pfx_password="of the CA")

        Stage(fleet, old).ends(play, on=leaf.thumbprint)
        witness = fleet.stop_witness()
        assert witness.ok, witness.failures
