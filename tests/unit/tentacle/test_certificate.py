# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Tentacle's certificate is backed up, staged and activated, over the vendor's stand-in: read from files, and never lost (rotation-safety 4.7, J1)."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils import _certificate
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Process
from ansible_collections.octofleet.octopus.plugins.module_utils._keys import opening
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.port import Encrypted
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import configuration, machinekey, manage, service, visit
from lab.tentacle.configuration import CERTIFICATE, PORT, THUMBPRINT
from lab.wire.certificates import Keypair, from_pfx, make_certificate, to_pfx
from unit.tentacle.desk import PASSWORD, Desk, identity_of
from unit.tentacle.doubles import FOREIGN, GOLDEN, MACHINE_ID, OLD, FakeHost, HandClock
from unit.tentacle.workbench import ONE, TWO

THIRD = make_certificate("three")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return Desk(tmp_path)


# --- Backed up ------------------------------------------------------------------------------------------------------------------------


def test_a_backup_is_read_from_the_configuration_and_no_vendor_process_starts(desk: Desk) -> None:
    before = desk.bench.vendor.path().read_bytes()
    made = desk.backed_up(copies=True)
    assert (made.changed, made.after, made.source) == (True, ONE.thumbprint, "export")
    for folder in (desk.store, desk.copies):
        path = folder / f"{ONE.thumbprint}.pfx"
        assert from_pfx(path.read_bytes(), PASSWORD).keypair() == ONE
        assert (os.stat(folder).st_mode & 0o777, os.stat(path).st_mode & 0o777) == (0o700, 0o600)
    assert not desk.backed_up(copies=True).changed
    assert desk.bench.calls == []
    assert list(desk.bench.vendor.settings.home.rglob("*.pfx")) == []
    assert desk.bench.vendor.path().read_bytes() == before


def test_the_key_travels_on_calls_with_a_secret_only(desk: Desk) -> None:
    desk.ready().active()
    carrying = {json.loads(asked)["verb"] for asked, secret in desk.sent if secret}
    assert carrying == {"export", "replace"}
    assert not any(PASSWORD in asked for asked, _secret in desk.sent)
    assert not [path for path in desk.root.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]


@pytest.mark.parametrize("case", ["03-new-certificate-if-blank", "13-import-rsa2048", "13-import-rsa4096", "13-import-expired"])
def test_what_the_real_vendor_wrote_is_opened(case: str) -> None:
    settings = configuration.parse(case, (GOLDEN / case / "config.after.xml").read_bytes())
    host = FakeHost(HandClock())
    host.files[machinekey.MACHINE_ID] = MACHINE_ID
    key = machinekey.opening(host, settings.get(configuration.CERTIFICATE))
    assert key is not None
    held = Encrypted(settings.get(configuration.CERTIFICATE), Secret(key.spelled()), settings.get(configuration.THUMBPRINT))
    assert opening.opened(held, "it").thumbprint == settings.get(configuration.THUMBPRINT)


def test_a_key_that_the_vendor_made_opens_it_too(desk: Desk) -> None:
    """Where the machine id is none the vendor makes a key of its own (tentacle-cli.md 3.5)."""
    desk.bench.vendor.settings.machine_id_file.write_text("short\n")
    desk.bench.given(TWO)
    assert desk.backed_up().after == TWO.thumbprint


def test_a_plan_reads_no_key_and_writes_nothing(desk: Desk) -> None:
    planned = desk.backed_up(check=True, copies=True)
    assert (planned.changed, planned.after, desk.stored(), desk.copies.exists()) == (True, ONE.thumbprint, [], False)
    assert "the Tentacle T1" in planned.sentence
    assert not any(secret for _asked, secret in desk.sent)


def test_another_machine_id_is_told(desk: Desk) -> None:
    """H-17: what is a clone's or an old image's opens nothing, and is not mistaken for a damaged file."""
    desk.bench.vendor.settings.machine_id_file.write_text("f" * 32)
    row = desk.row()
    assert (row["code"], row["thumbprint"]) == ("MACHINE_ID_CHANGED", None)
    assert "cannot be opened with the machine id in" in row["reason"]
    with pytest.raises(OctoError, match=r"Restore the machine id") as caught:
        desk.keys().export()
    assert caught.value.evidence["code"] == "MACHINE_ID_CHANGED"
    assert not desk.bench.vendor.settings.machine_key_file.exists()


@pytest.mark.parametrize("key", [CERTIFICATE, THUMBPRINT])
def test_an_identity_that_is_missing_is_told(desk: Desk, key: str) -> None:
    """H-18: the agent would make itself a new one."""
    desk.bench.vendor.configuration().store.set(key, None)
    row = desk.row()
    assert row["code"] == "IDENTITY_AT_RISK"
    assert f"has no {key}, so there is no certificate to keep" in row["reason"]


def test_a_certificate_that_is_cut_is_told(desk: Desk) -> None:
    stored = desk.bench.vendor.configuration().store
    text = base64.b64decode(stored.get(CERTIFICATE) or "")
    stored.set(CERTIFICATE, base64.b64encode(text[: len(text) // 32 * 16]).decode())
    with pytest.raises(OctoError, match="the rest of it cannot be decrypted") as caught:
        desk.backed_up()
    assert caught.value.evidence["code"] == "IDENTITY_UNREADABLE"
    assert desk.stored() == []


def test_a_certificate_that_is_not_the_named_one_is_not_backed_up_under_either_name(desk: Desk) -> None:
    """A killed import leaves a new certificate beside the old thumbprint (tentacle-cli.md 3.4)."""
    desk.bench.given(TWO)
    desk.bench.vendor.configuration().store.set(THUMBPRINT, ONE.thumbprint)
    with pytest.raises(OctoError, match=f"is {TWO.thumbprint}, but the thumbprint beside it is {ONE.thumbprint}") as caught:
        desk.backed_up()
    assert (caught.value.evidence["code"], desk.stored()) == ("IDENTITY_TORN", [])


def test_another_thumbprint_than_it_has_is_refused_unless_the_store_has_it(desk: Desk) -> None:
    with pytest.raises(OctoError, match=f"holds {ONE.thumbprint}, but {TWO.thumbprint} was to be backed up. Nothing was stored. Leave `thumbprint`"):
        desk.backed_up(TWO.thumbprint)
    desk.ready().active()
    assert not desk.backed_up(ONE.thumbprint).changed


def test_instances_of_a_host_share_the_store_and_a_bad_one_is_a_row(desk: Desk) -> None:
    desk.bench.vendor.create("T2", "T3")
    desk.bench.given(TWO, "T2")
    desk.bench.vendor.path("T3").write_bytes(b"")
    assert [(row["instance"], row["thumbprint"], row["code"]) for row in desk.keys("*").instances()] == [
        ("T1", ONE.thumbprint, ""),
        ("T2", TWO.thumbprint, ""),
        ("T3", None, "CONFIGURATION_UNREADABLE"),
    ]
    desk.backed_up()
    desk.keeper("T2").backed_up(TWO.thumbprint)
    assert [name for name in desk.stored() if name.endswith(".pfx")] == sorted(f"{each.thumbprint}.pfx" for each in (ONE, TWO))
    assert desk.row("T9")["code"] == "INSTANCE_UNKNOWN"


# --- Staged ---------------------------------------------------------------------------------------------------------------------------


def test_a_certificate_of_the_vendor_is_made_once_and_the_live_one_stays(desk: Desk) -> None:
    before = desk.bench.vendor.path().read_bytes()
    planned = desk.staged(check=True)
    assert (planned.changed, planned.after, desk.bench.calls, desk.stored()) == (True, None, [], [])
    made, again = desk.staged(), desk.staged()
    assert (made.changed, again.changed, again.after) == (True, False, made.after)
    assert desk.bench.vendor.path().read_bytes() == before
    ((program, verb, *words),) = desk.bench.calls
    assert (program, verb, words[0]) == ("Tentacle", "new-certificate", "--instance=T1")
    given = dict(word.partition("=")[::2] for word in words)
    assert given["--export-pfx"].startswith(f"{desk.root}/octofleet-private-")
    assert len(given["--pfx-password"]) == 43
    assert not Path(given["--export-pfx"]).parent.exists()


def test_a_verb_that_replaces_the_live_one_is_undone(desk: Desk) -> None:
    """H-20: it prints the same and ends with 0, as with an option that it takes for a blank one."""
    before = desk.bench.vendor.path().read_bytes()
    desk.bench.afterwards = lambda: desk.bench.call("new-certificate") and None
    with pytest.raises(OctoError, match=r"went further than to a file: .* has another Tentacle.Certificate and another .* It was put back") as caught:
        desk.staged()
    assert (caught.value.evidence["code"], desk.stored()) == ("NOT_GENERATED", [])
    assert desk.bench.vendor.path().read_bytes() == before


def test_a_verb_that_wrote_no_file_is_told_without_its_password(desk: Desk) -> None:
    desk.bench.vendor.settings.home.rmdir()
    desk.bench.before_call = lambda: next(desk.root.glob("octofleet-private-*")).rmdir()
    with pytest.raises(OctoError, match=r"Tentacle wrote no file\. It says: .*Could not find a part of the path") as caught:
        desk.staged()
    assert "MARKER" not in caught.value.message
    assert desk.bench.calls[0][-1].partition("=")[2] not in caught.value.message


def test_one_made_on_the_controller_is_called_as_the_vendor_calls_his(desk: Desk) -> None:
    made = desk.staged(source="generated")
    assert made.identity is not None
    assert _certificate.read(made.identity.certificate).subject == "CN=Octopus Tentacle"
    assert desk.bench.calls == []


def test_only_what_the_tentacle_has_is_replaced(desk: Desk) -> None:
    with pytest.raises(OctoError, match=f"holds {ONE.thumbprint}, so nothing was staged to replace {THIRD.thumbprint}"):
        desk.staged(replaces=THIRD)
    assert (desk.bench.calls, desk.stored()) == ([], [])


def test_a_run_after_the_activation_stages_nothing(desk: Desk) -> None:
    made = desk.staged()
    desk.backed_up()
    desk.keeper().active(str(made.after), ONE.thumbprint)
    again = desk.staged()
    assert (again.changed, again.after, desk.verbs().count("new-certificate")) == (False, made.after, 1)
    with pytest.raises(OctoError, match=f"{made.after} is staged already to replace {ONE.thumbprint}"):
        desk.staged(identity_of(TWO))


def test_the_way_back_adopts_the_backup(desk: Desk) -> None:
    desk.ready().active()
    for _run in range(2):
        assert not desk.staged(replaces=TWO, adopt=ONE.thumbprint).changed
        desk.active(new=ONE, old=TWO)
        assert desk.identity() == (ONE.thumbprint, ONE.thumbprint)
    assert desk.verbs() == ["import-certificate"] * 2


# --- Active ---------------------------------------------------------------------------------------------------------------------------


def test_the_new_certificate_is_imported_and_read_back(desk: Desk) -> None:
    desk.ready()
    desk.bench.vendor.path().chmod(0o640)
    others, before = desk.others(), desk.bench.vendor.path().read_bytes()
    planned = desk.active(check=True)
    assert (planned.changed, planned.sentence, desk.verbs()) == (True, f"Would import {TWO.thumbprint}.", [])
    done = desk.active()
    assert (done.changed, done.before, done.after) == (True, ONE.thumbprint, TWO.thumbprint)
    assert "until its restart (octofleet.octopus.octo_service)" in done.sentence
    assert desk.identity() == (TWO.thumbprint, TWO.thumbprint)
    assert (desk.others(), desk.bench.vendor.path().stat().st_mode & 0o777) == (others, 0o640)
    assert [copy.read_bytes() for copy in desk.copied()] == [before]
    assert not desk.active().changed
    assert not desk.active(check=True).changed
    assert desk.verbs() == ["import-certificate"]


def test_the_vendors_command_inherits_our_lock_and_the_index(desk: Desk) -> None:
    """It goes on writing when we are killed; the next run must wait for it (decision 29)."""
    desk.ready().active()
    assert desk.bench.ways == [({"TentacleMachineConfigurationHomeDirectory": desk.bench.installation.home}, 1)]
    (argv,) = desk.bench.calls
    assert argv[1:4] == ["import-certificate", "--instance=T1", "--console"]
    assert [word.partition("=")[0] for word in argv[4:]] == ["--from-file", "--pfx-password"]
    assert argv[4].endswith(".pfx")


@pytest.mark.parametrize(("gone", "use"), [(ONE, "put back if the import goes wrong"), (TWO, "adopted")], ids=["old", "new"])
def test_nothing_is_imported_without_both_keys_in_the_store(desk: Desk, gone: Keypair, use: str) -> None:
    desk.ready()
    (desk.store / f"{gone.thumbprint}.pfx").unlink()
    with pytest.raises(OctoError, match=f"{gone.thumbprint} is to be {use}, but the store has no PFX"):
        desk.active()
    planned = desk.active(check=True)
    assert (planned.changed, f"the store needs a PFX of {gone.thumbprint} that" in planned.sentence) == (True, True)
    assert desk.bench.calls == []


def test_a_third_certificate_that_is_there_is_left_there(desk: Desk) -> None:
    desk.ready()
    desk.bench.given(THIRD)
    for check in (True, False):
        with pytest.raises(OctoError, match=f"holds {THIRD.thumbprint}, neither .* do not restart the Tentacle before that"):
            desk.active(check=check)
    assert desk.bench.calls == []


def put(desk: Desk, keypair: Keypair) -> Callable[[], None]:
    """A command that, whatever it was asked, leaves this certificate; once."""

    def act() -> None:
        desk.bench.afterwards = lambda: None
        desk.bench.given(keypair)

    return act


def test_an_import_without_effect_is_no_success(desk: Desk) -> None:
    desk.ready()
    desk.bench.afterwards = put(desk, ONE)
    with pytest.raises(
        OctoError, match=rf"had no effect: the configuration .* still holds {ONE.thumbprint}\. Tentacle says: .* imported successfully"
    ) as caught:
        desk.active()
    assert caught.value.evidence == {"holds": [ONE.thumbprint]}
    assert desk.verbs() == ["import-certificate"]


def test_a_third_certificate_is_undone_at_once(desk: Desk) -> None:
    desk.ready()
    desk.bench.afterwards = put(desk, THIRD)
    with pytest.raises(OctoError, match=f"then held {THIRD.thumbprint}, so {ONE.thumbprint} was imported again at once and read back"):
        desk.active()
    assert desk.identity() == (ONE.thumbprint, ONE.thumbprint)
    assert desk.verbs() == ["import-certificate"] * 2


def test_what_stays_unknown_is_said_to_be_unknown(desk: Desk) -> None:
    desk.ready()
    desk.bench.afterwards = lambda: desk.bench.given(THIRD)
    with pytest.raises(OctoError, match=r"is not known\. Do not restart the Tentacle.*Import .* by hand") as caught:
        desk.active()
    assert caught.value.evidence == {"holds": [], "changed": True}


def test_an_import_between_its_two_writes_is_undone(desk: Desk) -> None:
    """The new certificate beside the old thumbprint: which of them is served depends on who has read what before (measured-tentacle.md 14.9)."""
    desk.ready()

    def forget_the_second() -> None:
        desk.bench.afterwards = lambda: None
        desk.bench.vendor.configuration().store.set(THUMBPRINT, ONE.thumbprint)

    desk.bench.afterwards = forget_the_second
    with pytest.raises(OctoError, match=f"could not be read back, so {ONE.thumbprint} was imported again"):
        desk.active()
    assert desk.identity() == (ONE.thumbprint, ONE.thumbprint)


def test_a_killed_import_is_finished_by_the_next_run(desk: Desk) -> None:
    """Both halves are of this rotation, so nothing is lost by going on."""
    desk.ready()
    desk.bench.given(TWO)
    desk.bench.vendor.configuration().store.set(THUMBPRINT, ONE.thumbprint)
    assert desk.active().changed
    assert desk.identity() == (TWO.thumbprint, TWO.thumbprint)


@pytest.mark.parametrize("left", [b"", b"\xef\xbb\xbf<?xml version"], ids=["empty", "cut"])
def test_a_torn_file_is_put_back(desk: Desk, left: bytes) -> None:
    """H-15: no agent starts from it, and none of the vendor's commands works on it."""
    desk.ready()
    before = desk.bench.vendor.path().read_bytes()
    desk.bench.afterwards = lambda: desk.bench.vendor.path().write_bytes(left) and None
    with pytest.raises(OctoError, match=r"had no effect: .* It was put back as it was\.") as caught:
        desk.active()
    assert caught.value.evidence == {"holds": [ONE.thumbprint]}
    assert desk.bench.vendor.path().read_bytes() == before


def test_what_cannot_be_put_back_is_told_with_its_copy(desk: Desk) -> None:
    desk.ready()
    desk.bench.afterwards = lambda: desk.bench.vendor.path().unlink(missing_ok=True)
    with pytest.raises(OctoError, match=r"is not known\. Do not restart the Tentacle") as caught:
        desk.active()
    (copy,) = desk.copied()
    assert caught.value.evidence["holds"] == []
    assert from_configuration(copy) == ONE.thumbprint


def from_configuration(path: Path) -> str:
    return configuration.parse("", path.read_bytes()).get(configuration.THUMBPRINT)


def test_an_import_that_changes_more_than_the_certificate_is_undone(desk: Desk) -> None:
    desk.bench.vendor.configuration().store.set(PORT, "10934")
    desk.ready()
    others = desk.others()

    def lose() -> None:
        desk.bench.trusts()
        desk.bench.vendor.configuration().store.set(PORT, "1")

    desk.bench.afterwards = lose
    with pytest.raises(
        OctoError, match=r"has another .*TrustedOctopusServers and another Tentacle.Services.PortNumber than before\. It was put back"
    ):
        desk.active()
    assert (desk.identity(), desk.others()) == ((ONE.thumbprint, ONE.thumbprint), others)


def test_what_others_add_meanwhile_stays(desk: Desk) -> None:
    """A pin of another Server, added in that moment, must not be lost by us."""
    desk.ready()
    desk.bench.afterwards = lambda: desk.bench.trusts(OLD, FOREIGN) and None
    assert desk.active().changed
    assert (desk.identity(), desk.bench.pins()) == ((TWO.thumbprint, TWO.thumbprint), [OLD, FOREIGN])


def test_commands_of_others_are_waited_for(desk: Desk) -> None:
    desk.ready()
    desk.bench.serve()
    beside = Process(1, 0, 0, ("Tentacle", "configure", "--instance=T1", f"--trust={FOREIGN}"), 1)
    desk.bench.table[1] = beside
    with pytest.raises(OctoError, match=r"Commands of the vendor are at work on .* did not end within 300 seconds: Tentacle configure"):
        desk.active()
    assert desk.verbs() == []
    desk.bench.time.then = [lambda: None, lambda: desk.bench.table.pop(1) and None]
    assert desk.active().changed


# --- The vendor's ways with files -----------------------------------------------------------------------------------------------------


def test_a_chain_is_stripped_before_the_tool_takes_its_ca(desk: Desk) -> None:
    """H-19."""
    ca = make_certificate("Our CA")
    leaf = make_certificate("web-01", issuer=ca)
    chain = to_pfx(leaf, "of the user", [ca])
    file = desk.root / "chain.pfx"
    file.write_bytes(chain)
    assert desk.bench.call("import-certificate", f"--from-file={file}", "--pfx-password=of the user").code == 100
    desk.backed_up()
    desk.staged(_certificate.open_pfx(chain, Secret("of the user")))
    assert desk.active(new=leaf).changed
    assert desk.identity() == (leaf.thumbprint, leaf.thumbprint)


def test_after_the_restart_the_wire_shows_the_new_one(desk: Desk) -> None:
    desk.ready()
    desk.bench.serve()
    endpoint = service.Endpoint(service.LOOPBACK, 10933, None)
    desk.active()
    assert service.serving(desk.bench.hands, endpoint) == ONE.thumbprint
    changes = [restarted_if_stale(desk)["restarted"] for _run in range(2)]
    assert (changes, service.serving(desk.bench.hands, endpoint)) == ([True, False], TWO.thumbprint)


def restarted_if_stale(desk: Desk) -> Mapping[str, Any]:
    (row,) = manage.tentacle_rows(desk.bench.hands, "T1", manage.IF_STALE, visit.Limits(), desk.bench.installation)
    assert row["ok"], row
    return row
