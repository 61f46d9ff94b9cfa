# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Back up, stage, activate: idempotent, read back, and with the user's passwords nowhere but on the controller."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils import _certificate
from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import Identity
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import PosixHost
from ansible_collections.octofleet.octopus.plugins.module_utils._keys import holder
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.keeper import Keeper, Outcome, Staging, described
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from unit.server.vendor import PASSWORD, PFX_PASSWORD, Vendor, Wire


@dataclass
class Desk:
    """A controller, a node and the store between them."""

    vendor: Vendor
    wire: Wire
    copies: Path

    def keeper(self, *, password: str = PASSWORD, copies: bool = False, check: bool = False, now: datetime | None = None) -> Keeper:
        clock: dict[str, Callable[[], datetime]] = {"now": lambda: now} if now else {}
        return Keeper(
            self.wire.keys(), holder.SERVER, Secret(password), PosixHost(lock_parents=()), str(self.copies) if copies else None, check, **clock
        )

    def stage(
        self, source: str = "vendor", adopt: str | None = None, offer: Identity | None = None, nobody: tuple[str, ...] = (), **keeper: Any
    ) -> Outcome:
        def offered() -> Identity:
            assert offer is not None, "the user's PFX was read although nothing needed it"
            return offer

        return self.keeper(**keeper).staged(Staging(OLD.thumbprint, adopt, source, offered, nobody))

    def stored(self) -> dict[str, Any]:
        return {path.stem: json.loads(path.read_text()) for path in self.wire.store.glob("*.json")}

    def names(self) -> list[str]:
        return sorted(path.name for path in self.wire.store.iterdir()) if self.wire.store.exists() else []


OLD, NEW, THIRD = (_certificate.make_server_certificate() for _ignored in range(3))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    vendor = Vendor(OLD)
    return Desk(vendor, Wire(vendor, tmp_path / "store"), tmp_path / "copies")


@pytest.fixture
def staged(desk: Desk) -> Desk:
    """OLD backed up, NEW staged."""
    desk.keeper().backed_up(OLD.thumbprint)
    desk.stage("pfx", offer=NEW)
    desk.vendor.calls.clear()
    desk.wire.sent.clear()
    return desk


# backed_up --------------------------------------------------------------------------------------------------------


def test_a_backup_is_made_once_and_is_proved(desk: Desk) -> None:
    made = desk.keeper(copies=True).backed_up(OLD.thumbprint)
    assert (made.changed, made.before, made.after, made.source) == (True, None, OLD.thumbprint, "export")
    again = desk.keeper(copies=True).backed_up(OLD.thumbprint)
    assert (again.changed, again.before, again.after, again.source) == (False, OLD.thumbprint, OLD.thumbprint, "export")
    assert desk.vendor.verbs() == ["export-certificate"]
    assert desk.names() == [f"{OLD.thumbprint}.json", f"{OLD.thumbprint}.pfx"]
    assert desk.stored()[OLD.thumbprint]["role"] == "backup"
    for folder in (desk.wire.store, desk.copies):
        path = folder / f"{OLD.thumbprint}.pfx"
        assert (os.stat(folder).st_mode & 0o777, os.stat(path).st_mode & 0o777) == (0o700, 0o600)
        assert _certificate.open_pfx(path.read_bytes(), Secret(PASSWORD)).thumbprint == OLD.thumbprint


def test_a_missing_copy_on_the_controller_is_made_without_an_export(desk: Desk) -> None:
    desk.keeper().backed_up(OLD.thumbprint)
    would = desk.keeper(copies=True, check=True).backed_up(OLD.thumbprint)
    assert (would.changed, desk.copies.exists()) == (True, False)
    assert "Would copy" in would.sentence
    assert desk.keeper(copies=True).backed_up(OLD.thumbprint).changed
    assert not desk.keeper(copies=True).backed_up(OLD.thumbprint).changed
    assert desk.vendor.verbs() == ["export-certificate"]


def test_a_backup_under_a_forgotten_password_is_made_again(desk: Desk) -> None:
    desk.keeper(password="another password").backed_up(OLD.thumbprint)
    assert desk.keeper().backed_up(OLD.thumbprint).changed
    assert not desk.keeper().backed_up(OLD.thumbprint).changed


def test_another_certificate_in_the_database_is_not_backed_up_under_a_wrong_name(desk: Desk) -> None:
    with pytest.raises(OctoError, match=f"holds {OLD.thumbprint}, but {NEW.thumbprint} was to be backed up. Nothing was stored"):
        desk.keeper().backed_up(NEW.thumbprint)
    assert desk.names() == []


def test_a_plan_exports_nothing_and_leaves_nothing(desk: Desk) -> None:
    planned = desk.keeper(check=True, copies=True).backed_up(OLD.thumbprint)
    assert (planned.changed, planned.after, desk.vendor.calls, desk.names()) == (True, OLD.thumbprint, [], [])


def test_an_export_that_wrote_nothing_is_told_without_its_password(desk: Desk) -> None:
    desk.vendor.faults["silent"] = ["export-certificate"]
    with pytest.raises(OctoError, match=r"wrote no file and ended with 1\. It says: Unrecognized .*pfx-password=\*{8}") as caught:
        desk.keeper().backed_up(OLD.thumbprint)
    assert not any(password in caught.value.message for password in desk.vendor.passwords())


def test_an_open_store_is_refused(desk: Desk) -> None:
    desk.wire.store.mkdir(mode=0o755)
    with pytest.raises(OctoError, match=r"open to other users \(mode 0755\). Close it: chmod 700"):
        desk.keeper().backed_up(OLD.thumbprint)


# staged -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "verbs"), [("vendor", ["new-certificate"]), ("generated", [])])
def test_a_certificate_is_made_once(desk: Desk, source: str, verbs: list[str]) -> None:
    first = desk.stage(source, copies=True)
    again = desk.stage(source, copies=True)
    assert (first.changed, first.before) == (True, None)
    assert (again.changed, again.before, again.after) == (False, first.after, first.after)
    assert desk.vendor.verbs() == verbs
    assert desk.vendor.database is OLD
    assert desk.stored()[str(first.after)] == {
        "thumbprint": first.after,
        "role": "staged",
        "replaces": OLD.thumbprint,
        "created_at": desk.stored()[str(first.after)]["created_at"],
        "source": source,
    }
    assert (desk.copies / f"{first.after}.pfx").exists()
    shown = described(again, "/store/x.pfx")
    assert shown is not None
    assert (shown["source"], shown["key_bits"], shown["signature_algorithm"], shown["path"]) == (source, 2048, "sha256RSA", "/store/x.pfx")


def test_the_users_pfx_is_staged_once_and_a_second_one_is_refused(desk: Desk) -> None:
    assert desk.stage("pfx", offer=NEW).changed
    assert not desk.stage("pfx", offer=NEW).changed
    assert not desk.stage("vendor").changed
    with pytest.raises(OctoError, match=f"{NEW.thumbprint} is staged already to replace {OLD.thumbprint}, and is not known to be trusted by nobody"):
        desk.stage("pfx", offer=THIRD)
    replaced = desk.stage("pfx", offer=THIRD, nobody=(NEW.thumbprint,))
    assert replaced.after == THIRD.thumbprint
    assert list(desk.stored()) == [THIRD.thumbprint]


@pytest.mark.parametrize(
    ("adopt", "offer", "days", "words"),
    [
        (THIRD.thumbprint, NEW, 0, f"holds {NEW.thumbprint}, but {THIRD.thumbprint} was to be adopted"),
        (None, OLD, 0, "which is the certificate to be replaced"),
        (None, NEW, -10, "is not valid before"),
        (None, NEW, 40000, "expired on"),
    ],
    ids=lambda value: "given" if isinstance(value, str) and len(value) == 40 else None,  # thumbprints differ from worker to worker
)
def test_a_pfx_that_will_not_do_is_refused_before_anything_is_stored(desk: Desk, adopt: str | None, offer: Identity, days: int, words: str) -> None:
    with pytest.raises(OctoError, match=words):
        desk.stage("pfx", adopt, offer, now=datetime.now(UTC) + timedelta(days=days))
    assert desk.names() == []


def test_what_is_staged_and_cannot_be_opened_is_deleted_only_when_nobody_trusts_it(desk: Desk) -> None:
    lost = desk.stage("generated", password="a password that nobody knows").after
    assert lost is not None
    for source in ("vendor", "generated"):
        with pytest.raises(OctoError, match=f"{lost} is staged already .* cannot be used .*password does not open.* known to be trusted by nobody"):
            desk.stage(source, check=source == "vendor")
    planned = desk.stage("vendor", check=True, nobody=(lost,))
    assert (planned.changed, planned.after, desk.vendor.calls) == (True, None, [])
    made = desk.stage("vendor", nobody=(lost,))
    assert lost in made.sentence
    assert list(desk.stored()) == [made.after]
    assert desk.names() == [f"{made.after}.json", f"{made.after}.pfx"]


def test_two_staged_ones_are_not_chosen_between(staged: Desk) -> None:
    note = {**staged.stored()[NEW.thumbprint], "thumbprint": THIRD.thumbprint}
    (staged.wire.store / f"{THIRD.thumbprint}.pfx").write_bytes(_certificate.write_pfx(THIRD, Secret(PASSWORD)))
    (staged.wire.store / f"{THIRD.thumbprint}.json").write_text(json.dumps(note))
    with pytest.raises(OctoError, match=r"all staged to replace .* Name the one to adopt"):
        staged.stage()
    assert staged.stage(adopt=THIRD.thumbprint).after == THIRD.thumbprint


def test_a_roll_back_adopts_the_backup_and_makes_nothing(staged: Desk) -> None:
    keeper = staged.keeper()
    back = keeper.staged(Staging(NEW.thumbprint, OLD.thumbprint, "vendor", lambda: THIRD))
    assert (back.changed, back.after, back.source, staged.vendor.calls) == (False, OLD.thumbprint, "export", [])
    with pytest.raises(OctoError, match=f"the store has no PFX of it. It has .*{NEW.thumbprint}"):
        keeper.staged(Staging(NEW.thumbprint, THIRD.thumbprint, "vendor", lambda: THIRD))


def test_a_note_without_its_pfx_stages_nothing(desk: Desk) -> None:
    """What a kill between the two writes leaves."""
    desk.stage("pfx", offer=NEW)
    (desk.wire.store / f"{NEW.thumbprint}.pfx").unlink()
    made = desk.stage("generated")
    assert made.after != NEW.thumbprint
    assert not desk.stage("generated").changed


def test_a_store_that_was_tampered_with_is_noticed(staged: Desk) -> None:
    (staged.wire.store / f"{NEW.thumbprint}.pfx").write_bytes((staged.wire.store / f"{OLD.thumbprint}.pfx").read_bytes())
    with pytest.raises(OctoError, match=f"holds another certificate, {OLD.thumbprint}"):
        staged.keeper().active(NEW.thumbprint, OLD.thumbprint)
    (staged.wire.store / f"{NEW.thumbprint}.json").write_text("{not json")
    assert staged.stage("generated").changed


def test_two_runs_do_not_stage_two_certificates(desk: Desk) -> None:
    """The second one read the store before the first one wrote to it."""
    keys = desk.wire.keys()
    entries = keys.entries()
    desk.stage("pfx", offer=NEW)
    late = desk.wire.keys()
    late.entries = lambda: entries  # type: ignore[method-assign]
    keeper = Keeper(late, holder.SERVER, Secret(PASSWORD), PosixHost(lock_parents=()))
    with pytest.raises(OctoError, match=f"already holds {NEW.thumbprint}.* Run again"):
        keeper.staged(Staging(OLD.thumbprint, None, "generated", lambda: THIRD))
    assert list(desk.stored()) == [NEW.thumbprint]


# active -----------------------------------------------------------------------------------------------------------


def test_the_new_certificate_is_imported_and_read_back(staged: Desk) -> None:
    done = staged.keeper().active(NEW.thumbprint, OLD.thumbprint)
    assert (done.changed, done.before, done.after, done.source) == (True, OLD.thumbprint, NEW.thumbprint, "pfx")
    assert staged.vendor.verbs() == ["export-certificate", "import-certificate", "export-certificate"]
    assert staged.vendor.database.thumbprint == NEW.thumbprint
    again = staged.keeper().active(NEW.thumbprint, OLD.thumbprint)
    assert (again.changed, again.before) == (False, NEW.thumbprint)
    assert staged.vendor.verbs().count("import-certificate") == 1
    assert not staged.keeper().backed_up(OLD.thumbprint).changed


def test_what_holds_a_key_and_its_password_is_a_call_with_a_secret(staged: Desk) -> None:
    staged.keeper().active(NEW.thumbprint, OLD.thumbprint)
    assert [(json.loads(args)["verb"], secret) for args, secret in staged.wire.sent] == [("entries", False), ("export", True), ("replace", True)]


def test_a_plan_imports_nothing_and_reads_no_key(staged: Desk) -> None:
    planned = staged.keeper(check=True).active(NEW.thumbprint, OLD.thumbprint)
    assert (planned.changed, staged.vendor.calls) == (True, [])
    assert "a plan exports no key" in planned.sentence


def test_an_import_without_effect_is_no_success(staged: Desk) -> None:
    staged.vendor.faults["no_effect"] = True
    with pytest.raises(OctoError, match=f"had no effect: .* still holds {OLD.thumbprint}. Octopus.Server says: Certificate imported") as caught:
        staged.keeper().active(NEW.thumbprint, OLD.thumbprint)
    assert caught.value.evidence == {"holds": [OLD.thumbprint]}
    assert staged.vendor.verbs().count("import-certificate") == 1


def test_a_third_certificate_is_undone_at_once(staged: Desk) -> None:
    staged.vendor.faults["third"] = THIRD
    with pytest.raises(OctoError, match=f"then held {THIRD.thumbprint}, so {OLD.thumbprint} was imported again at once and read back") as caught:
        staged.keeper().active(NEW.thumbprint, OLD.thumbprint)
    assert caught.value.evidence == {"holds": [OLD.thumbprint]}
    assert staged.vendor.database.thumbprint == OLD.thumbprint


@pytest.mark.parametrize("faults", [{"unreadable": True}, {"third": THIRD, "for_ever": True}])
def test_a_database_that_stays_unknown_is_said_to_be_unknown(staged: Desk, faults: dict[str, Any]) -> None:
    staged.vendor.faults.update(faults)
    with pytest.raises(OctoError, match=r"is not known\. Restart no node") as caught:
        staged.keeper().active(NEW.thumbprint, OLD.thumbprint)
    assert caught.value.evidence == {"holds": [], "changed": True}
    assert staged.vendor.verbs().count("import-certificate") == 2


def test_a_stranger_in_the_database_stops_before_the_import(staged: Desk) -> None:
    staged.vendor.database = THIRD
    with pytest.raises(OctoError, match=f"holds {THIRD.thumbprint}, neither .* Nothing was imported"):
        staged.keeper().active(NEW.thumbprint, OLD.thumbprint)
    assert "import-certificate" not in staged.vendor.verbs()


@pytest.mark.parametrize(("gone", "use"), [(OLD, "put back if the import goes wrong"), (NEW, "adopted")])
def test_nothing_is_imported_without_both_keys_in_the_store(staged: Desk, gone: Identity, use: str) -> None:
    (staged.wire.store / f"{gone.thumbprint}.pfx").unlink()
    with pytest.raises(OctoError, match=f"{gone.thumbprint} is to be {use}, but the store has no PFX"):
        staged.keeper().active(NEW.thumbprint, OLD.thumbprint)
    assert staged.vendor.calls == []


# containers and secrets -------------------------------------------------------------------------------------------


def test_a_server_in_a_container_gets_and_gives_its_files_through_copies(staged: Desk, tmp_path: Path) -> None:
    staged.vendor.container = tmp_path / "container"
    staged.vendor.container.mkdir()
    staged.wire.options.update(copy_in=["cp-in", "{src}", "{dest}"], copy_out=["cp-out", "{src}", "{dest}"])
    assert staged.keeper().active(NEW.thumbprint, OLD.thumbprint).changed
    left = list(staged.vendor.container.iterdir())
    assert len(left) == 3
    assert all(path.stat().st_size == 0 for path in left)


def test_one_direction_of_copying_is_not_enough(desk: Desk) -> None:
    desk.wire.options.update(copy_in=["cp-in", "{src}", "{dest}"])
    with pytest.raises(OctoError, match="needs both copy_in and copy_out"):
        desk.keeper().backed_up(OLD.thumbprint)


def test_passwords_of_the_user_reach_no_target_and_no_file_outlives_its_use(desk: Desk, tmp_path: Path) -> None:
    """Markers: in no call, no argv, no note, no sentence; one-use passwords are all different and open nothing that is left."""
    sealed = _certificate.write_pfx(NEW, Secret(PFX_PASSWORD))
    outcomes = [
        desk.keeper(copies=True).backed_up(OLD.thumbprint),
        desk.stage("pfx", offer=_certificate.open_pfx(sealed, Secret(PFX_PASSWORD))),
        desk.keeper().active(NEW.thumbprint, OLD.thumbprint),
    ]
    written = "\n".join([str(outcomes), *(args for args, _secret in desk.wire.sent), str(desk.vendor.calls), str(desk.stored())])
    assert not any(marker in written for marker in (PASSWORD, PFX_PASSWORD))
    used = desk.vendor.passwords()
    assert len(used) == 4
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.parent.name for path in left if path.suffix == ".pfx"} == {"store", "copies"}
    assert not any(password.encode() in path.read_bytes() for path in left for password in (*used, PASSWORD, PFX_PASSWORD))
