# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rotation with a shadow: polling Tentacles proved by what they subscribe to, not by what they log (rotation-safety 3.1)."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest
from e2e import plays
from e2e.looks import pins
from e2e.test_polling import GAP, polled
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec
from lab.fleet.units import drop_in_folder
from lab.waiting import until

pytestmark = pytest.mark.estate  # too long for `make test`


def shadow() -> dict[str, str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return {"listen": f"127.0.0.1:{port}", "address": f"https://127.0.0.1:{port}"}


def errors_at(fleet: Fleet, host: str, address: str) -> list[str]:
    """The error lines of a Tentacle's log that name an address."""
    log = Path(fleet.paths(host).configuration).parent / "Logs" / "OctopusTentacle.txt"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in lines if " ERROR " in line and address in line]


def log_nothing(fleet: Fleet, host: str) -> None:
    """From its next start on."""
    folder = drop_in_folder(fleet.folders.units, fleet.tentacle(host).unit)
    (folder / "level.conf").write_text('[Service]\nEnvironment="OCTOPUS__TENTACLE__LOGLEVEL=Off"\n', encoding="utf-8")
    fleet.run(["systemctl", "daemon-reload"]).check_returncode()
    fleet.unit(host).restart()


def is_over(given: dict[str, str]) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", int(given["listen"].rpartition(":")[2]))) != 0


def acted(running: plays.Running) -> list[str]:
    """The actions that have ended well, by their short names."""
    return [event["action"].rsplit(".", 1)[-1] for event in running.events() if event["event"] == "ok"]


def test_there_and_back() -> None:
    """One write more than nothing: the entry comes with the twin and goes with the old pin, and costs one error line, of the control, in one log."""
    given = shadow()
    with Fleet(FleetSpec(tentacles=1, polling=2)) as fleet:
        fleet.start_witness(back_off=GAP)
        hosts, old = [tentacle.host for tentacle in fleet.tentacles], fleet.server.certificate.thumbprint
        plan = plays.play(fleet, plays.ROTATE, variables={"octopus_shadow": given})
        assert f"each polls {given['address']} (octopus_shadow), too, until the old pin is removed" in plan.text

        there = plays.commit(fleet, old, octopus_shadow=given)
        new = there.report["new"]
        assert there.rc == 0, there.text
        assert there.report["proofs"] == {"wire": 1, "shadow": 2}, there.text
        assert "random refused, none refused) 1, at the shadow 2" in there.text
        assert {host: there.visits(host) for host in hosts} == {host: ["octo_trust", "octo_trust"] for host in hosts}
        expanded = [event["result"] for event in there.results("octo_trust") if event["host"].startswith("poll-")][:2]
        assert [[entry.get("address") for entry in row["after"]].count(given["address"]) for result in expanded for row in result["instances"]] == [
            1,
            1,
        ]
        assert {host: pins(fleet, host) for host in hosts} == {host: [new] for host in hosts}
        assert [address for host in hosts for _pin, address in polled(fleet, host) if address == given["address"]] == []
        assert sum(len(errors_at(fleet, host, given["address"])) for host in hosts) == 1, "the control's"
        until(lambda: is_over(given), what="the end of the shadow")

        again = plays.commit(fleet, old, octopus_shadow=given)
        assert (again.rc, again.changed) == (0, []), again.text

        back = plays.commit(fleet, new, playbook=plays.ROLL_BACK, octopus_shadow=given)
        assert back.rc == 0, back.text
        assert back.report["proofs"] == {"wire": 1, "shadow": 2}
        assert {host: pins(fleet, host) for host in hosts} == {host: [old] for host in hosts}
        assert sum(len(errors_at(fleet, host, given["address"])) for host in hosts) == 2, "one control for each way"
        witness = fleet.stop_witness()
        assert witness.ok, witness.failures
        assert witness.refused_seconds == 0


def test_a_run_that_is_killed_with_the_entries_written_is_rolled_back_without_a_trace() -> None:
    """The shadow ends with its run, and that of the roll-back listens at the same port at once. The Server was not switched, so one visit acts."""
    given = shadow()
    with Fleet(FleetSpec(tentacles=0, polling=1)) as fleet:
        old = fleet.server.certificate.thumbprint
        ((_pin, home),) = polled(fleet, "poll-01")
        running = plays.start(fleet, plays.ROTATE, variables={"octopus_retire": old, "octopus_commit": True, "octopus_shadow": given})
        until(lambda: running.process.poll() is not None or "octo_trust" in acted(running), 120.0, what="the visit")
        os.killpg(running.process.pid, signal.SIGKILL)
        running.process.wait()
        new = next(pin for pin, _address in polled(fleet, "poll-01") if pin != old)
        assert sorted(polled(fleet, "poll-01")) == sorted([(old, home), (new, home), (new, given["address"])])

        back = plays.commit(fleet, new, playbook=plays.ROLL_BACK, octopus_shadow=given)
        assert back.rc == 0, back.text
        assert [event["result"]["changed"] for event in back.results("octo_trust")] == [False, True]
        assert polled(fleet, "poll-01") == [(old, home)]


def test_a_tentacle_that_logs_nothing_is_proved_all_the_same() -> None:
    given = shadow()
    with Fleet(FleetSpec(tentacles=0, polling=1)) as fleet:
        log_nothing(fleet, "poll-01")
        old = fleet.server.certificate.thumbprint
        blind = plays.commit(fleet, old)
        assert blind.rc == 2, blind.text
        assert "Its log does not say that the running process expects that certificate" in blind.text
        assert len(polled(fleet, "poll-01")) == 2, "both pins stand, and the Server was not switched"

        play = plays.commit(fleet, old, octopus_shadow=given)
        assert play.rc == 0, play.text
        assert play.report["proofs"] == {"shadow": 1}
        assert pins(fleet, "poll-01") == [play.report["new"]]


def test_a_shadow_that_nobody_reaches_is_given_to_no_more_than_the_canaries() -> None:
    """They are proved by their logs, as without it; the entries of the canaries go with the old pin."""
    given = {**shadow(), "address": "https://127.0.0.1:1"}
    with Fleet(FleetSpec(tentacles=0, polling=2)) as fleet:
        old = fleet.server.certificate.thumbprint
        play = plays.commit(fleet, old, octopus_shadow=given, octopus_polling_waves=[1], octopus_polling_gap=2)
        assert play.rc == 0, play.text
        assert f"Not received at {given['address']}: poll-01/Tentacle-poll-01. No further Tentacle gets an entry for it." in play.text
        assert play.report["proofs"] == {"log": 2}
        assert (len(errors_at(fleet, "poll-01", given["address"])) > 0, errors_at(fleet, "poll-02", given["address"])) == (True, [])
        assert {host: pins(fleet, host) for host in ("poll-01", "poll-02")} == {host: [play.report["new"]] for host in ("poll-01", "poll-02")}


def test_a_port_that_is_taken_is_found_before_anything_is_touched() -> None:
    with Fleet(FleetSpec(tentacles=0, polling=1)) as fleet, socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        play = plays.commit(fleet, fleet.server.certificate.thumbprint, octopus_shadow={"listen": listen, "address": f"https://{listen}"})
        assert play.rc != 0
        assert f"octopus_shadow cannot listen at {listen}" in play.text
        assert play.changed == []
