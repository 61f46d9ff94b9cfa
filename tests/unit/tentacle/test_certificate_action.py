# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action over the instances of a host: which of them are meant, one row each, and what is refused before anybody is asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.action import octo_certificate
from ansible_collections.octofleet.octopus.plugins.action.octo_certificate import ActionModule
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.options import ARGUMENTS
from unit.tentacle.desk import PASSWORD, Desk, identity_of
from unit.tentacle.workbench import ONE, TWO

A, B = ONE.thumbprint, TWO.thumbprint


class Task:
    """A task on the host web-01, whose module calls end at the desk."""

    def __init__(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        self.desk, self._patch = desk, monkeypatch
        for name in ("keys_of", "remote_keys_of"):
            monkeypatch.setattr(octo_certificate, name, lambda _action, params, _vars: desk.keys(params["instance"]))
        monkeypatch.setattr(octo_certificate, "is_windows", lambda _action: False)
        monkeypatch.setattr(octo_certificate, "refuse_windows", lambda *_ignored: None)

    def __call__(self, state: str, check: bool = False, **options: Any) -> Mapping[str, Any]:
        given = {"application": "tentacle", "state": state, "instance": "*", "store": str(self.desk.store), "backup_password": PASSWORD, **options}
        self._patch.setattr(octo_certificate, "options_of", lambda *_ignored, **_more: {**self._defaults(), **given})
        action = ActionModule.__new__(ActionModule)
        action._task = SimpleNamespace(check_mode=check)  # type: ignore[assignment]
        return action.act({"inventory_hostname": "web-01"})

    @staticmethod
    def _defaults() -> dict[str, Any]:
        return {name: spec.get("default") for name, spec in ARGUMENTS.items()}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return Desk(tmp_path)


@pytest.fixture
def task(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Task:
    return Task(desk, monkeypatch)


def second(desk: Desk, keypair: Any) -> None:
    desk.bench.vendor.create("T2")
    desk.bench.given(keypair, "T2")


def test_every_instance_is_backed_up_and_a_bad_one_does_not_keep_the_others_from_it(desk: Desk, task: Task) -> None:
    second(desk, TWO)
    desk.bench.vendor.create("T3")
    found = task("backed_up")
    assert [(row["instance"], row["ok"], row["changed"], row["code"]) for row in found["instances"]] == [
        ("T1", True, True, ""),
        ("T2", True, True, ""),
        ("T3", False, False, "IDENTITY_AT_RISK"),
    ]
    assert (found["failed"], found["changed"], "certificate" in found) == (True, True, False)
    assert found["msg"].startswith("Of 3 instances 1 could not be brought to backed_up. T3: The configuration ")
    assert [row["certificate"]["thumbprint"] for row in found["instances"][:2]] == [A, B]
    assert found["diff"][1] == {"before_header": "T2", "after_header": "T2", "before": "backed_up: none\n", "after": f"backed_up: {B}\n"}
    again = task("backed_up")
    assert [row["changed"] for row in again["instances"]] == [False, False, False]


def test_one_row_stands_beside_the_rows_too(desk: Desk, task: Task) -> None:
    found = task("backed_up", instance="t1")
    (row,) = found["instances"]
    assert (row["instance"], row["configuration"]) == ("T1", str(desk.bench.vendor.path()))
    assert (found["certificate"], found["before"], found["after"]) == (row["certificate"], {"backed_up": None}, {"backed_up": A})
    assert (found["failed"], found["msg"]) == (False, row["sentence"])
    lost = task("backed_up", instance="T9")
    assert (lost["failed"], lost["changed"], lost["instances"][0]["code"]) == (True, False, "INSTANCE_UNKNOWN")
    assert lost["msg"] == lost["instances"][0]["reason"]


def test_a_rotation_finds_its_instance_and_finds_it_again(desk: Desk, task: Task) -> None:
    second(desk, TWO)
    for changed in (True, False):
        assert task("backed_up")["changed"] is changed
        staged = task("staged", replaces=A)
        assert ([row["instance"] for row in staged["instances"]], staged["changed"]) == (["T1"], changed)
        names = {"thumbprint": staged["after"]["staged"], "replaces": A}
        planned = task("active", check=True, **names)
        active = task("active", unguarded=True, **names)
        assert ([row["instance"] for row in active["instances"]], active["changed"]) == (["T1"], changed)
        assert (planned["changed"], planned["diff"]) == (active["changed"], active["diff"])
    assert desk.verbs() == ["new-certificate", "import-certificate"]


def test_clones_are_named_and_one_of_them_must_be(desk: Desk, task: Task) -> None:
    second(desk, ONE)
    assert [row["changed"] for row in task("backed_up")["instances"]] == [True, False]
    with pytest.raises(OctoError, match=rf"Several Tentacle instances of web-01 can be meant: T1 \({A}\) and T2 \({A}\)\. They are clones"):
        task("staged", replaces=A)
    staged = task("staged", replaces=A, instance="T2")
    assert staged["changed"]
    task("active", replaces=A, thumbprint=staged["after"]["staged"], instance="T2", unguarded=True)
    with pytest.raises(OctoError, match=r"can be meant: T1 .* and T2 .*Name one of them"):
        task("staged", replaces=A)


def test_two_names_of_one_configuration_are_no_clones(desk: Desk, task: Task) -> None:
    desk.bench.vendor.call("create-instance", "--instance=Alias", f"--config={desk.bench.vendor.path()}")
    assert len(task("staged", replaces=A, source="generated")["instances"]) == 1


def test_what_nobody_has_is_told_with_what_there_is(desk: Desk, task: Task) -> None:
    desk.bench.vendor.create("T2")
    with pytest.raises(OctoError, match=rf"No Tentacle instance of web-01 has .* \(T1 has {A}; T2: The configuration .*\)\. Name in `replaces`"):
        task("staged", replaces=B)
    for name in ("t1", "t2"):
        (desk.bench.root / f"etc/octopus/Tentacle/Instances/{name}.config").unlink()
    with pytest.raises(OctoError, match=r"\(there is none\)"):
        task("active", replaces=A, thumbprint=B, unguarded=True)
    assert task("backed_up")["msg"] == "There is no Tentacle instance on this host."


def test_what_a_failed_import_left_is_in_the_row(desk: Desk, task: Task) -> None:
    desk.backed_up()
    desk.staged(identity_of(TWO))
    desk.bench.afterwards = lambda: desk.bench.given(ONE)
    found = task("active", replaces=A, thumbprint=B, unguarded=True)
    assert (found["failed"], found["changed"], found["holds"], found["instances"][0]["holds"]) == (True, False, [A], [A])


@pytest.mark.parametrize(
    ("state", "options", "words"),
    [
        ("active", {"replaces": A, "thumbprint": B}, rf"activate {B} on a Tentacle\. .* say `unguarded: true`"),
        ("active", {"replaces": A, "thumbprint": B, "unguarded": True, "permit": {}}, r"which no gate of this version issues\. Leave `permit` out"),
        ("active", {"replaces": A, "unguarded": True}, "state=active needs thumbprint"),
        ("active", {"replaces": A, "thumbprint": A.lower(), "unguarded": True}, f"replace {A} by itself"),
        ("staged", {}, "state=staged needs replaces"),
        ("backed_up", {"backup_password": None}, "needs backup_password"),
        ("backed_up", {"thumbprint": A}, r'all instances \("\*"\) and one `thumbprint`'),
        ("backed_up", {"copy_in": ["cp"]}, "are for an Octopus Server in a container"),
        ("backed_up", {"application": "server", "thumbprint": A}, "of an Octopus Server, which has one certificate"),
        ("staged", {"replaces": "no thumbprint"}, "is not a thumbprint"),
    ],
    ids=["bare", "permit", "new", "same", "old", "password", "which", "container", "server", "spelling"],
)
def test_what_is_refused_before_anybody_is_asked(desk: Desk, task: Task, state: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(OctoError, match=words):
        task(state, **options)
    assert desk.sent == []
