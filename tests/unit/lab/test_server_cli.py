# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of the stand-in Server: texts, exit codes and files (contracts/octopus-server.md 1.3 to 1.5)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.tentacle.keys import Certificate
from lab.wire.certificates import Keypair, from_pfx, make_certificate, to_pfx
from unit.lab.server_trial import NEW, OLD, STRANGER, Trial

MASTER_KEY = "Checking the Octopus Master Key has been configured."
RESTART = "These changes require a restart of the Octopus Server."


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    made = Trial(tmp_path)
    yield made
    made.close()


def pfx(
    trial: Trial, keypair: Keypair | Certificate = NEW, password: str | None = "secret", name: str = "new.pfx", extra: tuple[Keypair, ...] = ()
) -> Path:
    file = trial.folder / name
    file.write_bytes(to_pfx(keypair, password, extra) if isinstance(keypair, Keypair) else keypair.to_pfx(password))
    return file


def test_export_writes_leaf_and_key_and_says_so(trial: Trial) -> None:
    target = trial.folder / "backup.pfx"
    done = trial.cli("export-certificate", f"--export-pfx={target}", "--pfx-password=secret", "--console")
    assert done == (0, f"{MASTER_KEY}\nExporting certificate...\nThe certificate has been written to {target}.\n", "")
    assert from_pfx(target.read_bytes(), "secret").keypair() == OLD


def test_new_certificate_to_a_file_leaves_the_active_one(trial: Trial) -> None:
    target = trial.folder / "new.pfx"
    done = trial.cli("new-certificate", f"--export-pfx={target}", "--pfx-password", "secret")
    made = from_pfx(target.read_bytes(), "secret").keypair()
    assert made is not None
    assert done.out.splitlines() == [
        MASTER_KEY,
        "Generating certificate...",
        "The Octopus Server currently uses a certificate with thumbprint:",
        OLD.thumbprint,
        "A new certificate has been generated with thumbprint:",
        made.thumbprint,
        f"The new certificate has been written to {target}.",
    ]
    assert trial.database.certificate().thumbprint == OLD.thumbprint


def test_replace_swaps_the_active_one_at_once(trial: Trial) -> None:
    assert trial.cli("new-certificate", "--replace").out.endswith(RESTART + "\n")
    assert trial.database.certificate().thumbprint != OLD.thumbprint


@pytest.mark.parametrize("argv", [(), ("--replace", "--export-pfx=x.pfx")])
def test_new_certificate_wants_exactly_one_purpose(trial: Trial, argv: tuple[str, ...]) -> None:
    assert trial.cli("new-certificate", *argv).code == 1
    assert trial.database.certificate().thumbprint == OLD.thumbprint


def test_import_says_old_and_new_and_keeps_the_old_key_for_the_witness(trial: Trial) -> None:
    file = pfx(trial)
    done = trial.cli("import-certificate", "-f", str(file), "--pw=secret")
    assert done.out.splitlines() == [
        f"Importing the certificate stored in PFX file in {file} using the provided password...",
        MASTER_KEY,
        f"The certificate CN=Octopus Portal was updated; old thumbprint = {OLD.thumbprint}, new thumbprint = {NEW.thumbprint}",
        "Certificate imported successfully.",
        RESTART,
    ]
    assert trial.database.keypair() == NEW
    assert trial.database.keypair(OLD.thumbprint) == OLD


def test_import_of_the_text_file_of_early_versions(trial: Trial) -> None:
    file = trial.folder / "old.txt"
    file.write_bytes(b"\xef\xbb\xbf" + base64.b64encode(to_pfx(NEW, None)))
    assert trial.cli("import-certificate", f"--from-file={file}").out.startswith(f"Importing the certificate stored in {file}...\n{MASTER_KEY}\n")
    assert trial.database.keypair() == NEW


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ((), "Please specify the certificate to import."),
        (("--from-file=nowhere.pfx",), "Certificate 'nowhere.pfx' was not found."),
        (("--from-file=new.pfx", "--pw=secret", "--type=grpc"), "The certificate type 'grpc' is not supported. Try tentacle."),
        (("--from-file=new.pfx", "--bogus"), "Unrecognized command line arguments: --bogus"),
    ],
)
def test_controlled_failures_are_one_sentence_and_exit_1(trial: Trial, argv: tuple[str, ...], sentence: str) -> None:
    pfx(trial)
    assert trial.cli("import-certificate", *argv) == (1, "", sentence + "\n")


@pytest.mark.parametrize(
    ("given", "option", "text"),
    [
        (pfx, "--pw=wrong", "The certificate data cannot be read with the provided password, the password may be incorrect."),
        (pfx, "--pw=", "The certificate data cannot be read with the provided password, the password may be incorrect."),
        (lambda trial: pfx(trial, Certificate(NEW.der, None)), "--pw=secret", "does not include the private key"),
        (lambda trial: pfx(trial, make_certificate(algorithm="ec")), "--pw=secret", "does not include the private key"),
        (lambda trial: pfx(trial, extra=(STRANGER,)), "--pw=secret", "does not include the private key"),
        (lambda trial: (trial.folder / "new.pfx").write_bytes(b"garbage"), "--pw=secret", "ASN1 corrupted data."),
        (pfx, "--pw", "Missing required value for option '--pw'."),
    ],
    ids=["wrong password", "no password", "no key", "elliptic curve", "chain: the CA is taken", "garbage", "option without value"],
)
def test_an_unusable_file_exits_100_and_changes_nothing(trial: Trial, given: object, option: str, text: str) -> None:
    given(trial)  # type: ignore[operator]
    # The instance goes first, so that an option without value can be the last word.
    done = trial.cli("import-certificate", "--instance=node-1", f"--from-file={trial.folder / 'new.pfx'}", option, instance=None)
    assert done.code == 100
    assert text in done.err
    assert trial.database.certificate().thumbprint == OLD.thumbprint


def test_a_weak_key_is_imported_with_a_warning(trial: Trial) -> None:
    weak = make_certificate("Octopus Portal", bits=1024)
    done = trial.cli("import-certificate", f"--from-file={pfx(trial, weak)}", "--pw=secret")
    assert done.code == 0
    assert "smaller than the currently-recommended bit length" in done.out
    assert trial.database.keypair() == weak


def test_commands_are_found_as_the_shared_host_finds_them(trial: Trial) -> None:
    assert trial.cli("bogus") == (2, "See 'Octopus.Server help'\n", "Command 'bogus' is not supported\n")
    assert trial.cli(instance=None).code == 2
    assert trial.cli("help", instance=None).code == 0
    assert trial.cli("--VERSION", instance=None).out == "2026.3.1234"


def test_show_thumbprint_prints_it_bare(trial: Trial) -> None:
    assert trial.cli("show-thumbprint").out == OLD.thumbprint
    assert trial.cli("show-thumbprint", "--format=json").out == f'{{"Thumbprint":"{OLD.thumbprint}"}}'
    assert trial.cli("show-thumbprint", "-e", "thumbprint.txt").out == ""
    assert (trial.folder / "thumbprint.txt").read_text(encoding="ascii") == OLD.thumbprint


def test_instances_are_resolved_as_on_a_tentacle(tmp_path: Path) -> None:
    trial = Trial(tmp_path, "node-1", "node-2")
    assert "Instance 'node-1' uses configuration" in trial.cli("list-instances", instance=None).out
    assert [row["InstanceName"] for row in json.loads(trial.cli("list-instances", "--format=json", instance=None).out)] == ["node-1", "node-2"]
    unknown = trial.cli("show-thumbprint", instance="other")
    assert unknown == (1, "", "Instance other of OctopusServer has not been configured on this machine. Available instances: node-1, node-2.\n")
    several = trial.cli("show-thumbprint", instance=None)
    assert several.code == 1
    assert several.err.startswith("There is more than one instance of OctopusServer configured on this machine.")
    assert trial.cli("show-thumbprint", instance="NODE-2").code == 0
    trial.close()


def test_create_instance_enters_the_index(trial: Trial) -> None:
    done = trial.cli("create-instance", f"--config={trial.folder}/other/OctopusServer.config", "--serverNodeName=other", instance="Other")
    assert done.out.splitlines() == [
        f"Creating empty configuration file: {trial.folder}/other/OctopusServer.config",
        "Saving instance: Other",
        f"Setting home directory to: {trial.folder}/other",
    ]
    assert "Instance 'Other' uses" in trial.cli("list-instances", instance=None).out


def test_unelevated_warns_and_exits_0_with_a_useless_backup(trial: Trial) -> None:
    trial.fault("unelevated")
    done = trial.cli("export-certificate", "--export-pfx=backup.pfx")
    assert done.code == 0
    assert "The X509 certificate CN=Octopus Portal was loaded but the private key was not loaded." in done.out
    assert from_pfx((trial.folder / "backup.pfx").read_bytes(), None).keypair() is None


def test_without_a_master_key_nothing_works(trial: Trial) -> None:
    trial.fault("master_key_missing")
    done = trial.cli("export-certificate", "--export-pfx=backup.pfx")
    assert (done.code, done.out) == (1, MASTER_KEY + "\n")
    assert not (trial.folder / "backup.pfx").exists()


@pytest.mark.parametrize(
    ("fault", "value", "code", "expected"),
    [
        ("import_no_effect", True, 0, {OLD.thumbprint}),
        ("import_crashes", "before", 100, {OLD.thumbprint}),
        ("import_crashes", "after", 100, {NEW.thumbprint}),
    ],
)
def test_an_import_whose_end_does_not_tell_what_it_did(trial: Trial, fault: str, value: object, code: int, expected: set[str]) -> None:
    trial.fault(fault, value)
    assert trial.cli("import-certificate", f"--from-file={pfx(trial)}", "--pw=secret").code == code
    assert trial.database.certificate().thumbprint in expected


def test_an_import_that_installs_a_third_certificate(trial: Trial) -> None:
    trial.fault("import_third")
    done = trial.cli("import-certificate", f"--from-file={pfx(trial)}", "--pw=secret")
    assert (done.code, NEW.thumbprint in done.out) == (0, True)
    assert trial.database.certificate().thumbprint not in (OLD.thumbprint, NEW.thumbprint)


def test_no_file_holds_a_plain_key(trial: Trial) -> None:
    trial.cli("import-certificate", f"--from-file={pfx(trial)}", "--pw=secret")
    raw = [base64.b64decode("".join(each.key_pem.decode().splitlines()[1:-1])) for each in (OLD, NEW)]
    markers = [key[30:90] for key in raw] + [base64.b64encode(key)[40:120] for key in raw]
    for file in (each for each in trial.folder.rglob("*") if each.is_file()):
        assert not [marker for marker in markers if marker in file.read_bytes()], file


def systemctl(trial: Trial, code: int, words: str = "") -> None:
    (trial.folder / "bin").mkdir()
    for name, body in (("systemctl", f'echo "$@" >> {trial.folder}/calls; echo "{words}" >&2; exit {code}'), ("sudo", '[ "$1" = -vn ] || exec "$@"')):
        (trial.folder / "bin" / name).write_text(f"#!/bin/sh\n{body}\n", encoding="ascii")
        (trial.folder / "bin" / name).chmod(0o755)


def test_a_restart_goes_through_systemctl(trial: Trial) -> None:
    systemctl(trial, 0)
    assert trial.cli("service", "--restart") == (0, "Restarting service: node-1\nService has been restarted\n", "")
    assert (trial.folder / "calls").read_text(encoding="ascii") == "restart node-1\n"


def test_a_failed_restart_exits_0_all_the_same(trial: Trial) -> None:
    systemctl(trial, 5, "Failed to restart node-1.service: Unit node-1.service not found.")
    done = trial.cli("service", "--restart")
    assert (done.code, done.err) == (0, "The service could not be restarted\n")
    assert "The command 'sudo systemctl restart node-1' failed with exit code: 5" in done.out


def test_drain_is_a_switch_of_this_node_in_the_shared_database(trial: Trial) -> None:
    assert trial.cli("node", "--drain=true").code == 0
    assert [node.draining for node in trial.database.nodes()] == [True]
    assert trial.cli("node", "--drain=false", "--taskCap=9").code == 0
    assert [(node.draining, node.task_cap) for node in trial.database.nodes()] == [(False, 9)]
    assert trial.cli("node", "--wait=5").err == "--wait and --cancel-tasks can only be used with --drain=true\n"


def test_drain_cancels_what_does_not_end_in_time(trial: Trial) -> None:
    from lab.server.tasks import Tasks

    tasks = Tasks(trial.database)
    task = tasks.plant("Spaces-1", ["Machines-1"], node="node-1")
    assert "1 tasks are still running" in trial.cli("node", "--drain=true").out
    assert f"cancelled {task.id}" in trial.cli("node", "--drain=true", "--cancel-tasks").out
    assert tasks.get(task.id).state == "Cancelling"


def test_every_start_is_recorded(trial: Trial) -> None:
    trial.cli("show-thumbprint")
    notes = [json.loads(line) for line in (trial.folder / "argv.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(note["program"], note["argv"]) for note in notes] == [("Octopus.Server", ["show-thumbprint", "--instance=node-1"])]
    assert notes[0]["environ"]["OCTOLAB_SETTINGS"] == trial.environ["OCTOLAB_SETTINGS"]
