# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rotation and its way back over a real sshd, the first with pipelining, the second without (issue 3, E.5)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from e2e import hunting, looks, plays
from e2e.sshd import PROGRAM, Sshd
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec
from lab.wire.certificates import Keypair, from_pfx

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(not PROGRAM.exists(), reason=f"{PROGRAM} is missing: apt-get install openssh-server"),
]
HOSTS = ("web-01", "web-02")


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with Fleet(FleetSpec(tentacles=2)) as fleet:
        yield fleet


def test_there_and_back_over_ssh(fleet: Fleet) -> None:
    old = fleet.server.certificate.thumbprint
    fleet.start_witness()
    with Sshd(fleet) as sshd:
        forth = plays.commit(fleet, old, "-vvvv", env={**sshd.env, "ANSIBLE_PIPELINING": "1"})
        assert forth.rc == 0, forth.text
        new = forth.report["new"]
        assert [looks.pins(fleet, host) for host in HOSTS] == [[new], [new]]
        assert payloads(fleet) == set(), "pipelining was on"
        kept = {**sshd.env, "ANSIBLE_PIPELINING": "0", "ANSIBLE_KEEP_REMOTE_FILES": "1"}
        back = plays.commit(fleet, new, "-vvvv", playbook=plays.ROLL_BACK, env=kept)
        assert back.rc == 0, back.text
        assert (back.report["reached"], back.report["old"], back.report["new"]) == (True, new, old)
        assert sshd.connections() >= len(HOSTS) + 1
    assert [looks.pins(fleet, host) for host in HOSTS] == [[old], [old]]
    assert {"AnsiballZ_octo_trust.py", "AnsiballZ_octo_certificate.py", "AnsiballZ_octo_service.py"} <= payloads(fleet)
    assert not came_otherwise(fleet)
    seen = fleet.stop_witness()
    assert (seen.refused_seconds, seen.failures) == (0, ())
    refuse_traces(fleet, new)


def payloads(fleet: Fleet) -> set[str]:
    """Modules that core left in files on the targets."""
    return {path.name for path in (fleet.root / "tmp").rglob("AnsiballZ_*")}


def came_otherwise(fleet: Fleet) -> list[str]:
    """Vendor commands that were not started in a session of sshd; the fleet's own services are none."""
    record = fleet.root / "records" / "argv.jsonl"
    notes = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    return [f"{note['program']} {note['argv']}" for note in notes if note["argv"][0] != "run" and "SSH_CONNECTION" not in note["environ"]]


def refuse_traces(fleet: Fleet, new: str) -> None:
    """Over ssh core shows at -vvv what a command printed, and without pipelining it keeps what a module was given."""
    markers = [
        hunting.text("the API key", fleet.server.api_key),
        hunting.text("the backup password", fleet.backup_password),
        hunting.key("the old key", fleet.server.certificate),
        hunting.key("the new key", kept(fleet, new)),
    ]
    found = hunting.Hunt(fleet.root, markers, hunting.one_use_passwords(fleet.root)).files()
    assert [trace for trace in found if not any(place.covers(trace) for place in hunting.OF_THE_LAB)] == []


def kept(fleet: Fleet, thumbprint: str) -> Keypair:
    pair = from_pfx((fleet.root / "store" / f"{thumbprint}.pfx").read_bytes(), fleet.backup_password).keypair()
    assert pair is not None
    return pair
