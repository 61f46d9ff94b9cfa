# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a finding says to run: it can be run as it is printed, mends what was found, and cuts nobody off."""

from __future__ import annotations

import importlib
import json
import re
import shlex
from dataclasses import replace
from typing import Any

import pytest
from ansible.parsing.splitter import parse_kv
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.audit import audit
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.compare import compare
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.facts import SOURCES
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import WEBSOCKET, Instance, InventoryHost, Poll, TrustEntry, Visit
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import trust
from unit import documented

from .estates import GHOST, NODES, OURS, RETIRED, THEIRS, World, entry, polling_entry, world
from .test_judge import CASES, Case

STYLES = {"listening": 1, "polling": 2}


def findings(of: World, *codes: str, **how: Any) -> list[dict[str, Any]]:
    return [row for row in audit(of.facts(**how))["findings"] if not codes or row["code"] in codes]


def remedy(of: World, code: str, subject: str = "web-1/Tentacle", **how: Any) -> str:
    return next(str(row["remedy"]) for row in findings(of, code, **how) if row["subject"] == subject)


def command(text: str) -> tuple[str, str, dict[str, str]]:
    """Host, module and options of the one ansible command in a remedy."""
    ((_ansible, host, _m, module, _a, words),) = [shlex.split(one) for one in re.findall(r"`(ansible [^`]*)`", text)]
    return host, module, parse_kv(words)


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_a_command_is_one_that_its_module_takes(one: Case) -> None:
    of = world()
    one.spoil(of)
    for finding in findings(of):
        if "`ansible " not in finding["remedy"] or finding["code"] == "KEY_EXPOSED":
            continue
        host, module, options = command(finding["remedy"])
        assert host == finding["host"]
        known = documented.options(importlib.import_module(f"{documented.ROOT}.modules.{module.rpartition('.')[2]}"))
        assert options.keys() <= known.keys()
        assert all(value in known[name].get("choices", [value]) for name, value in options.items())


def obeyed(instance: Instance, options: dict[str, str]) -> tuple[TrustEntry, ...]:
    """The entries after octo_trust, by its own rules."""
    before = tuple(
        trust.Entry(
            json.dumps(
                {"Thumbprint": one.spelled, "CommunicationStyle": STYLES[one.style], "Address": one.address, "SubscriptionId": one.subscription}
            ),
            one.spelled,
            one.style,
            one.address,
            one.subscription,
        )
        for one in instance.trust
    )
    wish = trust.Wish(options["state"], (options["thumbprints"],), twin_of=options.get("twin_of"))
    return tuple(
        TrustEntry(one.thumbprint, one.canonical, one.style, one.address, one.subscription_id) for one in trust.fulfil(wish, before, instance.listens)
    )


@pytest.mark.parametrize("one", [one for one in CASES if one.name != "lower case wherever it polls"], ids=lambda one: one.name)
def test_who_obeys_is_rid_of_the_finding(one: Case) -> None:
    of = world()
    one.spoil(of)
    for finding in findings(of):
        if "octo_trust -a" not in finding["remedy"] or "twin_of" in finding["remedy"]:
            continue
        host, _module, options = command(finding["remedy"])
        entries = obeyed(of.instances[host], options)
        pins = frozenset(one.canonical for one in entries if one.canonical)
        polls = tuple(
            Poll((one.address or "").rstrip("/"), one.subscription, one.canonical, frozenset(("started",))) for one in entries if one.address
        )
        mended = world()
        one.spoil(mended)
        mended.instance(host, trust=entries, pins_in_process=pins, polls=polls, restart_pending="no", newer_than_process=False)
        if f"{host}:10933" in mended.sights and OURS in pins:
            mended.says(host, ours="accepted")
        assert (finding["code"], finding["subject"]) not in {(row["code"], row["subject"]) for row in findings(mended)}


def test_a_restart_that_would_cut_off_is_not_advised() -> None:
    """The process still lets the Server in, and the configuration does not any more (another finding says how to mend that)."""
    of = world().instance("web-1", trust=(entry(THEIRS),), restart_pending="yes", newer_than_process=True)
    assert remedy(of, "RESTART_PENDING").startswith(f"Do not restart it before its configuration trusts {OURS} (see LOCKED_OUT_AFTER_RESTART); then")


def test_a_restart_that_only_gives_is_advised() -> None:
    of = world().says("web-1", ours="refused").instance("web-1", pins_in_process=frozenset((GHOST,)), restart_pending="yes", newer_than_process=True)
    assert remedy(of, "RESTART_PENDING").startswith("Restart it when it is idle:")


@pytest.mark.parametrize(("reason", "code"), [("IDENTITY_AT_RISK", "IDENTITY_AT_RISK"), ("MACHINE_ID_CHANGED", "DOWN_AFTER_RESTART")])
def test_a_restart_that_it_would_not_survive_is_not_advised(reason: str, code: str) -> None:
    of = world().instance("web-1", restart_pending="probably", newer_than_process=True, unready=((reason, "It would not come up."),))
    assert remedy(of, "RESTART_PENDING").startswith(f"Do not restart it before what {code} names is repaired; then")


def test_who_polls_with_a_certificate_made_anew_is_restarted_for_certain() -> None:
    """Its log names pins and not its own certificate, so restarted_if_stale would find nothing to do."""
    of = world().instance("poll-1", thumbprint=GHOST, newer_than_process=True)
    assert command(remedy(of, "RESTART_PENDING", "poll-1/Tentacle"))[2]["state"] == "restarted"


def test_what_has_two_other_pins_is_asked_beside_which() -> None:
    of = world().instance(
        "poll-1",
        trust=tuple(polling_entry(node, "sub-poll-1", pin) for node, pin in zip(NODES, (GHOST, RETIRED), strict=True)),
        pins_in_process=frozenset((GHOST, RETIRED)),
        polls=(),
    )
    assert f"twin_of={' or '.join(sorted((GHOST, RETIRED)))} (whichever is of this Server)" in remedy(
        of, "LOCKED_OUT_AFTER_RESTART", "poll-1/Tentacle"
    )


def test_the_last_pin_of_a_registration_is_not_removed_by_a_command_that_refuses_it() -> None:
    of = world()
    of.instance("poll-1", trust=(*of.instances["poll-1"].trust, polling_entry("old.example.com:10943", "sub-old", GHOST)))
    told = remedy(of, "GHOST_PIN", "poll-1/Tentacle")
    assert "state=absent" not in told
    assert "deregister-from" in told


@pytest.mark.parametrize("spelled", ["feedback needed", "f" * 38], ids=["words", "38 digits"])
def test_what_is_no_thumbprint_is_named_in_no_command(spelled: str) -> None:
    of = world().instance("web-1", trust=(entry(), TrustEntry(spelled, None)))
    assert "by hand" in remedy(of, "NON_CANONICAL")
    assert "`" not in remedy(of, "NON_CANONICAL")


def test_a_websocket_pin_is_not_changed_by_a_command_that_refuses_it() -> None:
    of = world().instance("web-1", trust=(entry(), TrustEntry(GHOST.lower(), GHOST, WEBSOCKET, "wss://octopus.example.com/")))
    assert "by hand" in remedy(of, "NON_CANONICAL")


def test_a_node_with_a_weak_certificate_is_rotated() -> None:
    of = world()
    of.add_certificate(OURS, "sha1RSA")
    assert "rotate_server_certificate" in remedy(of, "WEAK_CERT", "node-1")


def test_an_orphan_is_uninstalled_by_its_name() -> None:
    """Without one the vendor's tool takes the instance that is named Tentacle (tentacle-cli.md 1.6)."""
    of = world()
    of.records.pop("web-1")
    assert "`Tentacle service --instance=Tentacle --stop --uninstall`" in remedy(of, "ORPHAN_TENTACLE")


def test_a_name_of_several_words_is_one_word() -> None:
    of = world()
    of.visits["web-1"] = Visit("web-1", "ok", (replace(of.instances["web-1"], name="My Tentacle", trust=(entry(), entry(GHOST))),))
    assert command(remedy(of, "GHOST_PIN", "web-1/My Tentacle"))[2]["instance"] == "My Tentacle"


def test_an_instance_that_is_not_known_is_not_every_instance() -> None:
    of = world().says("web-1", ours="refused")
    told = remedy(of, "LOCKED_OUT", "web-1/*", asked=("wire", "database"))
    assert "instance=<the one that is web-1:10933>" in told
    assert "instance=*" not in told


def test_a_finding_is_not_new_because_its_host_could_not_be_read() -> None:
    """One night without SSH: the Tentacle has another name in the report."""
    of = world().record("web-1", thumbprint=GHOST)
    first, second = (audit(of.facts(asked=asked)) for asked in (SOURCES, ("wire", "database")))
    assert [row["subject"] for one in (first, second) for row in one["findings"]] == ["web-1/Tentacle", "web-1/*"]
    for now, earlier in ((first, second), (second, first)):
        changes = compare(now, earlier, {})["changes"]
        assert (changes["new"], changes["gone"], changes["not_judged"], changes["unchanged"]) == ([], [], [], 1)


def test_two_tentacles_behind_one_address_have_findings_of_their_own() -> None:
    of = world()
    for host in ("web-1", "web-2"):
        of.records.pop(host)
    of.also(hosts=tuple(InventoryHost(host, ("10.7.7.7",)) for host in of.instances))
    ids = [row["id"] for row in findings(of, "ORPHAN_TENTACLE")]
    assert len(ids) == len(set(ids)) == 2


def test_a_configuration_that_no_command_changes_is_repaired_first() -> None:
    of = world().instance("web-1", trust=(entry(), entry(GHOST), TrustEntry("", None)), pins_in_process=frozenset((OURS, GHOST)))
    assert remedy(of, "GHOST_PIN").startswith("First repair what BLANK_PIN names. ")


def test_a_record_without_a_thumbprint_is_not_called_right() -> None:
    of = world().record("web-1", thumbprint=None)
    assert audit(of.facts())["codes"]["STALE_RECORD"]["not_judged"] == 1
