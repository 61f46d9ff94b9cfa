# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Planted fleets are what they say they are, code by code, and nothing else is wrong with them: seen by files, REST and TLS, not by the product."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from lab.fleet.plan import Tentacle
from lab.planting import PlantedFleet, clean, lies, nodes, planted, troubles
from lab.planting.acts import open_database
from lab.planting.troubles import key_of_one_space, server_down, storm
from lab.planting.truth import CERTIFICATE, CODES, RECORD, TENTACLE
from lab.server.database import Database
from lab.waiting import until
from lab.wire.certificates import from_pfx
from lab.witness.queues import ask_queue
from lab.witness.wire import Said, anonymous, ask, look
from unit.lab.planted_world import OF_TENTACLES, Subject, World, converse, old_in_use, shared, uncovered


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with planted(None) as garden:
        yield World(garden)


def subjects(garden: PlantedFleet, code: str, kind: str | None = None) -> set[str]:
    return {each.subject for each in garden.of(code) if kind in (None, each.kind)}


def test_every_code_is_planted_and_has_a_near_miss_and_no_subject_is_both(world: World) -> None:
    garden = world.garden
    assert {each.code for each in garden.planted} == set(CODES)
    assert {each.code for each in garden.near_misses} == set(CODES)
    told = [{(each.code, each.subject) for each in group} for group in (garden.planted, garden.near_misses, garden.arguable)]
    assert sum(map(len, told)) == len(set.union(*told)) == len(garden.planted) + len(garden.near_misses) + len(garden.arguable)


@pytest.mark.parametrize("code", OF_TENTACLES)
def test_what_is_planted_into_tentacles_is_there_and_nowhere_else(world: World, code: str) -> None:
    arguable = {each.subject for each in world.garden.arguable if each.code == code}
    expected = subjects(world.garden, code) - uncovered(world)
    assert world.holding(OF_TENTACLES[code]) - arguable == expected


@pytest.mark.parametrize(("code", "rule"), [("SHARED_PIN", shared), ("OLD_KEY_IN_USE", old_in_use), ("NOT_COVERED", uncovered)])
def test_what_is_planted_elsewhere_is_there(world: World, code: str, rule: Callable[[World], set[str]]) -> None:
    assert rule(world) == subjects(world.garden, code)


def test_a_near_miss_is_a_subject_of_the_fleet(world: World) -> None:
    ids = {tentacle.id if tentacle.in_inventory else tentacle.host for tentacle in world.fleet.tentacles}
    of_kind = {
        TENTACLE: {tentacle.id for tentacle in world.fleet.tentacles},
        RECORD: {record["Name"] for record in world.records},
        CERTIFICATE: {each for told in world.known.values() for each in told} | set(world.garden.retired),
    }
    for each in (*world.garden.planted, *world.garden.near_misses, *world.garden.arguable):
        assert each.subject in of_kind[each.kind], each
        assert each.is_about(each.subject)
        assert len(each.names & ids - {each.subject}) <= 1, each  # its id, where it is called by its record's name


def test_what_an_audit_is_given_is_right(world: World) -> None:
    garden = world.garden
    assert garden.pfx.stat().st_mode & 0o777 == 0o600
    opened = from_pfx(garden.pfx.read_bytes(), garden.pfx_password).keypair()
    assert opened is not None
    assert opened.thumbprint == world.ours
    assert world.known[""] == {world.ours}
    assert set(garden.known_servers) == {"foreign", "dr", "clone", "elsewhere"}
    assert {tentacle.kind for tentacle in garden.fleet.tentacles} == {"Machines", "Workers"}


def test_findings_of_a_disk_are_planted_on_windows_too(world: World) -> None:
    windows = {each.id for each in world.fleet.tentacles if each.windows}
    for code in ("GHOST_PIN", "DUPLICATE_ENTRY", "NON_CANONICAL", "RESTART_PENDING", "LOCKED_OUT_AFTER_RESTART"):
        assert subjects(world.garden, code) & windows, code
        assert {each.subject for each in world.garden.near_misses if each.code == code} & windows, code
    assert not subjects(world.garden, "KEY_EXPOSED") & windows
    assert {each.tentacle.id for each in world.subjects if each.mode & 0o004} & windows  # whose mode nobody may take for Windows'


def test_a_stale_record_of_one_that_polls_is_what_the_server_turns_it_away_for(world: World) -> None:
    stale, lower = (world.fleet.tentacle(host) for host in ("poll-stale-record", "poll-record-lower"))
    by_id = {each.tentacle.id: each for each in world.subjects}
    (spelled,) = (record["Endpoint"]["Thumbprint"] for record in by_id[lower.id].records)
    assert spelled != lower.thumbprint == spelled.upper()
    collects = {each.id: ask_queue(world.fleet.server.nodes[0].url, each.uri, 1.0).collected for each in (stale, lower)}
    assert collects == {stale.id: False, lower.id: True}


def test_only_the_noisy_ones_complain(world: World) -> None:
    logs = world.garden.logs()
    noisy = world.garden.noisy
    until(lambda: {each.tentacle for each in logs.complaints()} >= noisy, 60, every=0.5, what="each of the noisy ones to complain")
    assert {each.tentacle for each in logs.complaints()} == noisy
    assert {each.level for each in logs.complaints()} == {"ERROR"}


def test_a_careless_visitor_is_a_complaint(world: World) -> None:
    logs, guest = world.garden.logs(), world.fleet.tentacle("one-key")
    url = f"https://{guest.address}:{guest.port}/"
    with pytest.raises(urllib.error.URLError):  # a TLS client that does not like the certificate leaves rudely
        urllib.request.urlopen(url, timeout=10)
    until(lambda: guest.id in {each.tentacle for each in logs.since()}, 10, what="an entry in its log")


def test_a_clean_fleet_has_nothing() -> None:
    with clean(12) as garden:
        world = World(garden)
        assert (garden.planted, garden.near_misses, garden.arguable, garden.noisy) == ((), (), (), frozenset())
        assert len(garden.fleet.tentacles) == 12
        assert {(each.tentacle.polling, each.tentacle.space, each.tentacle.environment) for each in world.subjects} >= {
            (False, "Default", "Production"),
            (True, "Finance", "Staging"),
        }
        assert {each.polling for each in garden.fleet.tentacles if each.windows} == {False, True}
        assert {code: found for code, rule in OF_TENTACLES.items() if (found := world.holding(rule))} == {}
        assert (shared(world), old_in_use(world), uncovered(world)) == (set(), set(), set())
        assert garden.known_servers == {
            "foreign": [f"{garden.fleet.foreign_server.nodes[0].address}:{garden.fleet.foreign_server.nodes[0].comms_port}"]
        }
        assert any(tentacle.trusts("foreign") for tentacle in garden.fleet.tentacles)


# -- nodes


def test_a_node_that_was_left_behind_presents_what_is_retired() -> None:
    with planted(None, seeds=nodes.NODE_SEEDS) as garden:
        world, server = World(garden), garden.fleet.server
        before, forgotten = garden.retired
        assert world.known[""] == {world.ours, before}
        assert old_in_use(world) == subjects(garden, "OLD_KEY_IN_USE") == {before}
        shown = {node.name: at(node.address, node.comms_port)[1] for node in server.nodes}
        assert shown == {"node-1": world.ours, "node-2": before}
        with open_database(garden.fleet) as database:
            assert database.certificate().thumbprint == world.ours
        assert world.holding(_lacks_one_of(before, world.ours)) == subjects(garden, "LOCKED_OUT") == subjects(garden, "LOCKED_OUT_AFTER_RESTART")
        assert {each.tentacle.id for each in world.subjects if forgotten in {pin["Thumbprint"] for pin in each.pins}} == subjects(garden, "GHOST_PIN")
        assert {code for code, rule in OF_TENTACLES.items() if world.holding(rule)} == {"LOCKED_OUT", "LOCKED_OUT_AFTER_RESTART", "GHOST_PIN"}


def _lacks_one_of(*thumbprints: str) -> Callable[[World, Subject], bool]:
    return lambda _world, subject: not set(thumbprints) <= {pin["Thumbprint"] for pin in subject.pins}


# -- lies and troubles


def at_its_record(garden: PlantedFleet, tentacle: Tentacle) -> tuple[Said, str | None]:
    return at(tentacle.advertised or tentacle.address, tentacle.port)


def at(address: str, port: int) -> tuple[Said, str | None]:
    sight = converse({"it": ((address, port), lambda where: look(where, anonymous()))})["it"]
    return sight.said, sight.presented


def test_lies_of_the_wire_and_of_the_disk() -> None:
    with planted(3, seeds=["impostor_proxy", "index_points_elsewhere"]) as garden:
        proxied, misled, other = garden.fleet.tentacles
        said, presented = at_its_record(garden, proxied)
        assert said is Said.IDENTITY
        assert presented not in (None, proxied.thumbprint)
        logs = garden.logs()
        asked = converse({"it": ((proxied.advertised or "", proxied.port), lambda where: ask(where, anonymous()))})["it"]
        assert asked.said is Said.CLOSED
        assert [each.text for each in logs.complaints() if each.tentacle == proxied.id] == []
        shown = garden.fleet.run(["Tentacle", "show-thumbprint", f"--instance={misled.instance}"], host=lies.host_of("index_points_elsewhere")).stdout
        assert shown == other.thumbprint != misled.thumbprint


def test_lies_of_the_database_and_of_the_process() -> None:
    seeds = ["database_ahead", "hidden_space_record", "touched_configuration"]
    with planted(5, seeds=seeds) as garden:
        world = World(garden)
        database: Database = garden.fleet.database()
        assert {node.loaded for node in database.nodes()} == {world.ours} != {database.certificate().thumbprint}
        assert world.known[""] == {world.ours}
        database.close()
        hidden, touched = (each for each in world.subjects if each.tentacle.host.startswith("liar"))
        assert (hidden.records, len(touched.records)) == ([], 1)
        assert touched.is_newer
        assert [pin for _address, pin in touched.pins_at_start] == [pin["Thumbprint"] for pin in touched.pins]


def test_a_change_that_is_older_than_the_process() -> None:
    with planted(1, seeds=["backdated_change"]) as garden:
        world = World(garden)
        changed = world.subjects[0]
        assert not changed.is_newer
        assert (len(changed.pins_at_start), len(changed.pins)) == (1, 2)


@pytest.mark.parametrize("trouble", ["silent_endpoint", "web_endpoint", "refused_endpoint"])
def test_nobody_answers_at_a_troubled_endpoint_while_the_tentacle_is_well(trouble: str) -> None:
    with planted(1, seeds=[trouble]) as garden:
        tentacle = garden.fleet.tentacle(troubles.host_of(trouble))
        assert at_its_record(garden, tentacle)[0] is Said.ABSENT
        itself = converse({"it": ((tentacle.address, tentacle.port), lambda where: look(where, anonymous()))})["it"]
        assert itself.presented == tentacle.thumbprint
        assert subjects(garden, "UNREACHABLE") == {tentacle.id}


NOBODY = 0


def asked(garden: PlantedFleet, key: str, path: str) -> tuple[int, str]:
    request = urllib.request.Request(garden.fleet.server.nodes[0].url + path, headers={"X-Octopus-ApiKey": key})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.dumps(json.load(response))
    except urllib.error.HTTPError as error:
        return error.code, ""
    except urllib.error.URLError as error:
        return NOBODY, str(error.reason)


def test_a_server_that_shows_one_space_turns_requests_away_or_is_down() -> None:
    with planted(2, seeds=[]) as garden:
        key = key_of_one_space(garden.fleet)
        status, spaces = asked(garden, key, "/api/spaces/all")
        assert (status, "Default" in spaces, "Finance" in spaces) == (200, True, False)
        with storm(garden.fleet, retry_after=0.1):
            assert asked(garden, key, "/api/spaces/all")[0] == 429
        with server_down(garden.fleet):
            assert asked(garden, key, "/api/spaces/all")[0] == NOBODY
        until(lambda: asked(garden, key, "/api/spaces/all")[0] == 200, 30, every=0.2, what="the Server to answer again")


def test_there_is_a_lie_for_each_source() -> None:
    assert {lie.source for lie in lies.LIES.values()} == {"wire", "disk", "database", "process"}
