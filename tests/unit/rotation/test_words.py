# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads, word for word (design/experience.md)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import KUBERNETES
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.evidence import Evidence, Health, Wire
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.roster import Blocker
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation import words
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import (
    Contract,
    EdgeFacts,
    Expand,
    Facts,
    PolicyFacts,
    RestartNode,
    Switch,
)
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.plan import make_plan, place_of
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.rules import allowed
from model import sample
from model.sample import NEW, OLD

GO_ON = f"To go on:    ansible-playbook octofleet.octopus.rotate_server_certificate -e octopus_retire={OLD} -e octopus_commit=true"
GO_BACK = f"To go back:  ansible-playbook octofleet.octopus.roll_back_server_certificate -e octopus_retire={NEW} -e octopus_commit=true"
ESTATE = words.Estate("https://octopus.example.com", "sha256RSA 2048, since 2019-03-02", "nothing is staged", "node-1")


def text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"


def golden(shown: str) -> str:
    return textwrap.dedent(shown).lstrip("\n").replace("<OLD>", OLD).replace("<NEW>", NEW).replace("<GO ON>", GO_ON).replace("<GO BACK>", GO_BACK)


def at_start() -> Facts:
    old_only = (sample.edge("app-09", (OLD,)), sample.edge("web-01", (OLD,)))
    return sample.before_switch(new=None, edges=old_only, stored=frozenset())


def kubernetes() -> EdgeFacts:
    made = sample.edge("k8s")
    return replace(made, edge=replace(made.edge, host="", style=KUBERNETES, records=(sample.record("k8s-prod"),)), evidence=Evidence())


def test_a_plan() -> None:
    facts = at_start()
    plan = make_plan(facts, "digest", hosts=("app-09", "web-01"), spec=[1, "25%"], forks=5)
    assert text(words.plan_lines(facts, plan, ESTATE)) == golden(f"""
        Plan {plan.id}  retire <OLD>, the Server certificate of https://octopus.example.com
          old  <OLD>  sha256RSA 2048, since 2019-03-02, presented by node-1, node-2
          new  to be generated on node-1 (nothing is staged)
        Tentacles: 2 instances on 2 hosts (2 listening), spaces Default (all that the key sees)
          + can be made to trust the new certificate      2
        Order: canary app-09; then 1 host.
        Expect: 4 visits, 4 restarts of a Tentacle (about 1 s away each), at most 1 away at once;
                at 5 forks about 2 minutes; portal down 2 times for about 40 s.
        Not judged: whether another Server presents the old certificate (octopus_known_servers is not set).
        <GO ON>
        {GO_BACK.replace(NEW, "<the new one>")}
    """)


@pytest.mark.parametrize(("allows", "stuck"), [(False, ["app-09/Tentacle"]), (True, [])])
def test_an_upgrade_that_is_allowed_keeps_nobody_from_going_on(allows: bool, stuck: list[str]) -> None:
    facts = at_start()
    newer = sample.seen(facts.edges[0], unready=(("HIDDEN_UPGRADE", "it is newer than its process"),))
    facts = replace(facts, edges=(replace(newer, allows_upgrade=allows), facts.edges[1]))
    lines = words.plan_lines(facts, make_plan(facts, "digest", hosts=("app-09", "web-01"), spec=[1], forks=5), ESTATE)
    assert [line.split()[0] for line in lines if "HIDDEN_UPGRADE" in line] == stuck


def test_a_plan_that_cannot_go_on() -> None:
    facts = at_start()
    ill = sample.seen(facts.edges[0], unready=(("IDENTITY_AT_RISK", "the certificate is missing; the next restart would make a new one"),))
    lost = Blocker("UNMANAGED_TENTACLE", "db-02", "Machines-88 (db-02) in space Finance is on no host of the inventory", "Add its host.")
    gone = replace(sample.edge("old-lab-3"), evidence=Evidence(wire=Wire(sample.NOW)))
    gone = replace(gone, edge=replace(gone.edge, records=(sample.record("old-lab-3", health_status="Unavailable"),)))
    facts = replace(
        facts,
        edges=(ill, facts.edges[1], kubernetes(), gone),
        blockers=(lost,),
        left_behind=(("old-lab-3", "off since March"),),
        policies=(PolicyFacts("Default Machine Policy", "Default", None, True),),
        others=(),
    )
    plan = make_plan(facts, "digest", hosts=("app-09", "web-01"), spec=[1], forks=5)
    assert text(words.plan_lines(facts, plan, ESTATE, notes=(Blocker("TWIN_CERT", "a, b", "they are clones", "Separate them."),))[3:]) == golden(f"""
        Tentacles: 4 instances on 3 hosts (3 listening, 1 kubernetes), spaces Default (all that the key sees)
          + can be made to trust the new certificate      1
          ! cannot go on                                  3
              app-09/Tentacle  IDENTITY_AT_RISK  the certificate is missing; the next restart would make a new one
                -> Repair that first.
              k8s-prod         NOT_SWITCHABLE  Kubernetes: the agent pins the Server certificate, and its trust is not on a host of the inventory
                -> Leave it behind with a reason, or wait for a version that rotates it.
              db-02            UNMANAGED_TENTACLE  Machines-88 (db-02) in space Finance is on no host of the inventory
                -> Add its host.
          ~ left behind: old-lab-3 (reason given: "off since March"): will be cut off
          . a, b: TWIN_CERT: they are clones. Separate them.
        Order: canary app-09; then 1 host.
        Expect: {plan.visits} visits, {plan.restarts} restarts of a Tentacle (about 1 s away each), at most 1 away at once;
                at 5 forks about 2 minutes; portal down 2 times for about 40 s.
        Warning: policy Default Machine Policy in space Default may upgrade Tentacles after a health check.
        Refused for now: the Server certificate will not be switched.
          Not every Tentacle can be made to trust the new certificate.
          1 Tentacle cannot be accounted for.
        <GO ON>
        {GO_BACK.replace(NEW, "<the new one>")}
    """)


def test_a_plan_with_nothing_to_do() -> None:
    facts = sample.done()
    plan = make_plan(facts, "digest", hosts=("app-09", "web-01"), spec=[1], forks=5)
    assert (
        words.plan_lines(facts, plan, ESTATE)[-1] == f"Nothing to do: no node presents {OLD}, no Tentacle trusts it, and the store holds its backup."
    )
    assert (plan.visits, plan.restarts, plan.node_restarts, plan.seconds) == (0, 0, 0, 0.0)


def test_a_refusal_names_what_was_seen_by_source_and_what_to_do() -> None:
    facts = sample.before_switch(edges=(sample.edge("app-09", accepts=(OLD,)), sample.edge("web-01")))
    assert text(words.refusal_lines(facts, allowed(facts, Switch()))) == golden("""
        Refused to switch the Server certificate. 1 of 2 Tentacles does not yet trust 2B94…11E3 and 6D1F…A07C:
          app-09/Tentacle  2B94…11E3: disk: trusted; process: started 2026-03-01 11:02, restart pending: yes; wire at app-09:10933: refused
            -> Its service did not restart. Restart it (octofleet.octopus.octo_service state=restarted_if_stale), then run it again.
        Nothing was changed by this step. 1 trusts both certificates, 1 is to be restarted. Nobody is locked out, and it is safe to leave it as it is.
        <GO ON>
        <GO BACK>
    """)


def test_two_clauses_that_name_the_same_are_told_once() -> None:
    facts = sample.before_switch(edges=(sample.edge("app-09", (OLD,)), sample.edge("web-01")))
    lines = words.refusal_lines(facts, allowed(facts, Switch()))
    assert [line for line in lines if line.startswith(("Refused", "And"))] == [
        "Refused to switch the Server certificate. 1 of 2 Tentacles does not yet trust 2B94…11E3 and 6D1F…A07C:"
    ]
    assert "    -> Run it again: the visit adds the pin." in lines


def test_a_refusal_to_contract() -> None:
    facts = sample.after_switch(nodes=(sample.node("node-1", NEW), sample.node("node-2", None)))
    assert text(words.refusal_lines(facts, allowed(facts, Contract(("app-09/Tentacle", "web-01/Tentacle"))))) == golden("""
        Refused to remove 6D1F…A07C from 2 Tentacles. 1 node of 2 does not present 2B94…11E3:
          node-2  nobody answers at its port for Tentacles (wire)
            -> Restart it, or remove it from the cluster.
        Nothing was changed by this step. 2 trust both certificates. Nobody is locked out, and it is safe to leave it as it is.
        <GO ON>
        <GO BACK>
    """)


def test_a_long_list_is_cut_and_says_so() -> None:
    facts = sample.before_switch(edges=tuple(sample.edge(f"web-{number:02}", accepts=(OLD,)) for number in range(25)))
    lines = words.refusal_lines(facts, allowed(facts, Switch()))
    assert "  and 5 more, all in the report" in lines
    assert len(lines) == 1 + 2 * 20 + 1 + 3


def test_a_roll_back_names_the_commands_from_its_own_side() -> None:
    ways = words.commands(sample.after_switch().exchanged(), back=True)
    assert ways.resume == f"ansible-playbook octofleet.octopus.roll_back_server_certificate -e octopus_retire={NEW} -e octopus_commit=true"
    assert ways.back == (
        f"ansible-playbook octofleet.octopus.rotate_server_certificate -e octopus_retire={OLD} -e octopus_adopt={NEW} -e octopus_commit=true"
    )


def test_what_is_asked() -> None:
    facts = sample.before_switch()
    assert words.asked(Expand(("app-09/Tentacle",)), facts) == "make app-09/Tentacle trust 2B94…11E3"
    assert words.asked(RestartNode("node-2"), facts) == "restart the node node-2"


@pytest.mark.parametrize(
    ("edges", "says"),
    [
        ((sample.edge("a", (NEW,)), sample.edge("b")), "1 trusts both certificates. Locked out now: a/Tentacle. Going on or back repairs that."),
        (
            (sample.edge("a", (NEW,), accepts=(OLD, NEW)),),
            "1 trusts the new one only. A restart would lock out a/Tentacle. Going on or back repairs that.",
        ),
        (
            (sample.seen(sample.edge("a"), disk=None), sample.edge("b")),
            "1 trusts both certificates. Nobody that could be read is locked out; not read: a/Tentacle.",
        ),
        ((sample.edge("a", (OLD,)),), "1 trusts the old one only. Nobody is locked out, and it is safe to leave it as it is."),
    ],
)
def test_the_state_the_fleet_was_left_in(edges: tuple[EdgeFacts, ...], says: str) -> None:
    assert words.left_in(sample.before_switch(edges=edges)) == f"Nothing was changed by this step. {says}"


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        (at_start(), "Phase IDLE (derived): 2 Tentacles: 2 old only. Next allowed: to stage a new certificate."),
        (
            sample.before_switch(edges=(sample.edge("app-09", (OLD,)), sample.edge("web-01"))),
            "Phase EXPAND (derived): 2 Tentacles: 1 old only, 1 trust both, proved. Next allowed: expand. "
            "Not allowed: switch (1 of 2 Tentacles does not yet trust 2B94…11E3 and 6D1F…A07C).",
        ),
        (
            sample.between_nodes(),
            "Phase COMMIT (derived): 2 Tentacles: 2 trust both, proved. Next allowed: restart of a node. "
            "Not allowed: contract (1 node of 2 does not present 2B94…11E3).",
        ),
        (sample.after_switch(), "Phase VERIFIED (derived): 2 Tentacles: 2 work with the new one. Next allowed: contract."),
        (sample.done(), "Phase DONE (derived): 2 Tentacles: 2 new only. Next allowed: nothing."),
        (replace(at_start(), edges=()), "Phase IDLE (derived): no Tentacles. Next allowed: to stage a new certificate."),
    ],
)
def test_the_status(facts: Facts, line: str) -> None:
    assert words.status_line(facts) == line


def test_the_end() -> None:
    facts = sample.done(left_behind=(("old-lab-3", "off since March"),))
    assert text([*words.closing_lines(facts, 6), words.last_line(facts, 41.2)]) == golden("""
        Server certificate 6D1F…A07C -> 2B94…11E3
          trusted by 2 of 2 Tentacles, proved on the wire (new accepted, random refused, none refused)
          Server: 2 of 2 nodes present the new certificate
          2 of 2 healthy; old certificate removed and refused on 2 of 2; 6 foreign pins untouched
          left behind, cut off: old-lab-3 (reason given: "off since March")
        6D1F…A07C -> 2B94…11E3 on 2 Tentacles in 41 s
    """)


def test_an_end_at_which_the_server_does_not_work_with_everybody() -> None:
    """Both certificates are where they belong, and yet somebody has to look."""
    done = sample.done()
    first, *rest = done.edges
    ill = replace(done, edges=(sample.seen(first, health=Health("Unhealthy", sample.NOW, frozenset((NEW,)))), *rest))
    assert "  1 of 2 healthy; old certificate removed and refused on 2 of 2" in words.closing_lines(ill, 0)[3]
    assert words.last_line(ill, 41.2) == (
        f"6D1F…A07C -> 2B94…11E3 is reached, but the Server does not work with {first.name} (health check at the end): see the log of its last Health task."
    )


def test_a_health_that_nobody_asked_for_is_not_counted() -> None:
    done = sample.done()
    unasked = replace(done, edges=tuple(sample.seen(edge, health=None) for edge in done.edges))
    assert words.closing_lines(unasked, 0)[3].startswith("  health not checked; old certificate removed")


def test_the_end_of_a_run_that_did_not_get_there() -> None:
    assert words.last_line(sample.after_switch(), 41.2).startswith("Not reached. Phase VERIFIED (derived)")


@pytest.mark.parametrize(("seconds", "shown"), [(41.4, "41 s"), (840.0, "14 minutes"), (9000.0, "2.5 hours")])
def test_durations(seconds: float, shown: str) -> None:
    assert words.duration(seconds) == shown


def test_a_wave_says_who_is_away_and_what_is_next() -> None:
    rounds = ((("web-01",), ("web-02", "web-03")), (("poll-01",),))
    step = Expand(("web-02/*", "web-03/*"), 2)
    place = place_of(("web-02", "web-03"), rounds, "the switch")
    asked = words.asked(step, at_start())
    assert words.wave_line(asked, ("web-02", "web-03"), 2, place) == (
        "Allowed, wave 2 of 3: make 2 hosts trust the new certificate (web-02, web-03), at most 2 away at once. Next: poll-01."
    )
    last = place_of(("poll-01",), rounds, "the switch")
    assert words.wave_line("nudge 1 polling Tentacle", ("poll-01",), 1, last).endswith("(poll-01). Next: the switch.")
    assert place_of(("web-01", "web-02"), rounds, "the switch") is None


def test_what_is_to_be_said_of_many_is_said_once() -> None:
    facts = sample.after_switch(edges=tuple(sample.edge(f"web-0{number}") for number in range(1, 6)), nodes=(sample.node("node-1", NEW),))
    lines = words.refusal_lines(facts, allowed(facts, Contract(("web-01/Tentacle",))))
    assert (
        "  web-01/Tentacle, web-02/Tentacle, web-03/Tentacle and 2 more  no health check was made since all nodes present the new certificate"
        in lines
    )
