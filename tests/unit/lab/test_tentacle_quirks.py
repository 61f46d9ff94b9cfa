# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each quirk of the command line changes what can be seen from outside, and each has its scene here."""

from __future__ import annotations

import base64
import fcntl
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from lab.settings import TENTACLE_QUIRKS
from lab.tentacle import agent
from lab.tentacle.calling import Host
from lab.tentacle.configuration import CERTIFICATE, THUMBPRINT
from lab.tentacle.trust import Style, TrustEntry
from lab.wire.certificates import Keypair, make_certificate, to_pfx

A, B, C = "A" * 40, "B" * 40, "C" * 40
POLLED = "https://127.0.0.1:10943"
LONG_AGO = 1_000_000_000
CA, ONE, TWO, WEAK = (make_certificate(name, bits) for name, bits in (("CA", 2048), ("one", 2048), ("two", 2048), ("weak", 1024)))
LEAF = make_certificate("leaf", issuer=CA)


def inode(host: Host) -> object:
    before = host.path().stat().st_ino
    host.trust(A)
    return before == host.path().stat().st_ino


def under_a_lock(host: Host) -> object:
    with host.path().open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        return host.call("configure", "--instance=T1", f"--trust={A}").code


def modification_time(host: Host) -> object:
    host.trust(A)
    os.utime(host.path(), (LONG_AGO, LONG_AGO))
    host.trust(A)
    return host.path().stat().st_mtime == LONG_AGO


def failure_in_the_middle(host: Host) -> object:
    host.trust(B)
    host.call("configure", "--instance=T1", "--reset-trust", f"--trust={A}", "--port=abc")
    return host.trusted()


def after(*words: str, trust: tuple[str, ...] = (A, B), polling: str = "") -> Callable[[Host], object]:
    """The trust list after one command."""

    def scene(host: Host) -> object:
        host.trust(*trust)
        if polling:
            poll(host, polling)
        code = host.call(*words[:1], "--instance=T1", *words[1:]).code
        return code, host.trusted()

    return scene


def poll(host: Host, thumbprint: str, subscription: str = "poll://bcdefghjklmnpqrstuvw/") -> None:
    entry = TrustEntry(thumbprint, Style.TentacleActive, POLLED, None, subscription)
    host.configuration().set_trusted_servers([*host.configuration().trusted_servers, entry])


def duplicates(host: Host) -> object:
    host.configuration().set_trusted_servers([TrustEntry(A), TrustEntry(A)])
    return host.call("configure", "--instance=T1", f"--trust={A}").code


def restart_line(host: Host) -> object:
    return host.trust(A).call("configure", "--instance=T1", f"--remove-trust={C}").stdout


def subscriptions(host: Host) -> object:
    poll(host.trust(B), A)
    host.call("server-comms", "--instance=T1", f"--thumbprint={B}", "--style=TentacleActive", "--host=127.0.0.1")
    return len({entry.subscription_id for entry in host.configuration().trusted_servers if entry.address})


def code_of(*argv: str) -> Callable[[Host], object]:
    return lambda host: host.call(*argv).code


def file_in_working_directory(host: Host) -> object:
    (host.root / "cwd/Tentacle.config").write_bytes(host.create("T2").path("T2").read_bytes())
    host.path("T2").unlink()
    return host.call("show-configuration").stdout.count("T2")


def bad_index_file(host: Host) -> object:
    (host.root / "etc/octopus/Tentacle/Instances/backup").write_text("not json")
    return host.call("list-instances").code


def home_after_another_creation(host: Host) -> object:
    host.call("configure", "--instance=T1", f"--home={host.root}/elsewhere")
    host.create("T1")
    return host.configuration().home


def home_after_repointing(host: Host) -> object:
    host.call("create-instance", "--instance=T1", f"--config={host.path('new')}")
    return host.configuration("new").home


def deletion_without_a_file(host: Host) -> object:
    host.path().unlink()
    return host.call("delete-instance", "--instance=T1").code


def second_certificate(*words: str) -> Callable[[Host], object]:
    def scene(host: Host) -> object:
        host.call("new-certificate", "--instance=T1")
        before = host.configuration().thumbprint
        host.call("new-certificate", "--instance=T1", *words)
        return before == host.configuration().thumbprint

    return scene


def importing(data: bytes, *words: str, name: str = "given.pfx") -> Callable[[Host], object]:
    def scene(host: Host) -> object:
        (host.root / name).write_bytes(data)
        return host.call("import-certificate", "--instance=T1", f"--from-file={host.root / name}", *words).code

    return scene


def bytes_after_the_same_import(host: Host) -> object:
    scene = importing(to_pfx(ONE, None))
    scene(host)
    before = host.path().read_bytes()
    scene(host)
    return before == host.path().read_bytes()


def key_in_the_log(host: Host) -> object:
    text = base64.b64encode(to_pfx(ONE, None)).decode()
    assert host.call("import-certificate", "--instance=T1", f"--from-base64={text}").code == 0
    return text in (host.root / "T1/Logs/OctopusTentacle.txt").read_text()


def on_another_machine(host: Host) -> object:
    importing(to_pfx(ONE, None))(host)
    host.settings.machine_id_file.write_text("f" * 32)
    assert host.call("show-thumbprint", "--instance=T1").code == 100
    return host.settings.machine_key_file.exists()


def store_after_reading(host: Host) -> object:
    importing(to_pfx(ONE, None))(host)
    host.call("show-thumbprint", "--instance=T1")
    return [(path.name, path.stat().st_mode & 0o777) for path in host.root.glob("root/.dotnet/**/*.pfx")]


def thumbprint_of_another(host: Host) -> object:
    for keypair in (ONE, TWO):
        importing(to_pfx(keypair, None))(host)
        host.call("show-thumbprint", "--instance=T1")
    host.configuration().store.set(THUMBPRINT, ONE.thumbprint)
    certificate = host.configuration().certificate()
    assert certificate is not None
    return certificate.thumbprint


def foreign_store(host: Host) -> object:
    importing(to_pfx(ONE, None))(host)
    (host.root / "root/.dotnet/corefx/cryptography/x509stores/my").mkdir(parents=True)
    host.uid += 1
    return host.call("show-thumbprint", "--instance=T1").code


def shown_thumbprint(host: Host) -> object:
    importing(to_pfx(ONE, None))(host)
    return host.call("show-thumbprint", "--instance=T1").stdout


def service(*tools: str) -> Callable[[Host], object]:
    """A start that fails, with the tools that there are."""

    def scene(host: Host) -> object:
        folder = host.root / "bin"
        folder.mkdir()
        bodies = {"sudo": '[ "$1" = -vn ] || exec "$@"', "systemctl": "echo Failed to start >&2; exit 5"}
        for tool in tools:
            (folder / tool).write_text(f"#!/bin/sh\n{bodies[tool]}\n")
            (folder / tool).chmod(0o755)
        host.environ["PATH"] = str(folder)
        called = host.call("service", "--instance=T1", "--start")
        return called.code, called.stdout

    return scene


def proxy_afterwards(host: Host) -> object:
    host.call("proxy", "--instance=T1", "--proxyEnable=true", "--proxyHost=http://proxy:8080")
    host.call("proxy", "--instance=T1", "--proxyUsername=me")
    return host.configuration().store.get("Octopus.Proxy.ProxyHost")


def identity_of_an_agent(host: Host) -> object:
    host.call("agent", "--instance=T1", "--noninteractive")
    return host.configuration().store.get(CERTIFICATE) is not None


SCENES: Mapping[str, Callable[[Host], object]] = {
    "truncate_in_place": inode,
    "lock_ex_blocks": under_a_lock,
    "mtime_moves_on_noop": modification_time,
    "one_write_per_step": failure_in_the_middle,
    "remove_trust_case_sensitive": after("configure", f"--remove-trust={A.lower()}"),
    "remove_trust_takes_polling": after("configure", f"--remove-trust={A}", polling=A),
    "reset_trust_takes_polling": after("configure", "--reset-trust", polling=A),
    "trust_moves_to_end": after("configure", f"--trust={A.lower()}"),
    "trust_unvalidated": after("configure", "--trust=AA:BB"),
    "update_trust_duplicates": after("update-trust", f"--oldThumbprint={A}", f"--newThumbprint={B}"),
    "duplicate_entry_crashes": duplicates,
    "restart_line_unconditional": restart_line,
    "clear_trusted_crashes_on_listening": after("clear-trusted-servers"),
    "server_comms_new_subscription": subscriptions,
    "server_comms_unknown_instance_crashes": code_of("server-comms", "--instance=NOPE"),
    "missing_value_crashes": code_of("configure", "--instance=T1", "--trust"),
    "switch_value_ignored": after("configure", "--reset-trust=false"),
    "next_argument_is_value": after("configure", "--trust", "--bogus"),
    "blank_instance_falls_through": code_of("show-thumbprint", "--instance="),
    "single_instance_is_default": code_of("show-thumbprint"),
    "cwd_configuration_wins": file_in_working_directory,
    "bad_index_file_breaks_all": bad_index_file,
    "create_instance_resets_home": home_after_another_creation,
    "create_instance_home_to_old_file": home_after_repointing,
    "delete_instance_needs_configuration": deletion_without_a_file,
    "new_certificate_overwrites": second_certificate(),
    "blank_export_replaces_identity": second_certificate("--export-pfx="),
    "chain_pfx_takes_ca": importing(to_pfx(LEAF, "x", [CA]), "--pfx-password=x"),
    "password_for_unprotected_pfx_fails": importing(to_pfx(ONE, None), "--pfx-password=x"),
    "weak_key_imports": importing(to_pfx(WEAK, None)),
    "base64_without_key_imports": importing(base64.b64encode(ONE.der), name="given.txt"),
    "import_rewrites_same_certificate": bytes_after_the_same_import,
    "from_base64_is_logged": key_in_the_log,
    "failed_decrypt_leaves_machine_key": on_another_machine,
    "read_copies_key_to_store": store_after_reading,
    "store_copy_wins": thumbprint_of_another,
    "foreign_store_owner_blocks": foreign_store,
    "thumbprint_without_newline": shown_thumbprint,
    "show_file_must_exist": code_of("show-configuration", "--instance=T1", "--file=./new.json"),
    "service_failure_exits_0": service("sudo", "systemctl"),
    "service_needs_sudo": service("systemctl"),
    "service_retries_with_sudo": service("sudo", "systemctl"),
    "proxy_off_unless_enabled": proxy_afterwards,
    "agent_makes_identity": identity_of_an_agent,
}


def test_every_quirk_has_a_scene() -> None:
    assert SCENES.keys() == TENTACLE_QUIRKS.keys()


@pytest.mark.parametrize("quirk", SCENES)
def test_quirk(quirk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Switched off, the scene ends differently."""
    monkeypatch.setattr(agent, "run", lambda *_ignored: 0)
    faithful = Host(tmp_path / "on").create()
    tamed = Host(tmp_path / "off").create().without([quirk])
    seen = [SCENES[quirk](host) for host in (faithful, tamed)]
    texts = [str(each).replace(str(host.root), "") for each, host in zip(seen, (faithful, tamed), strict=True)]
    assert texts[0] != texts[1]


def test_foreign_store_leaves_the_agent_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so on stderr and waits, without listening (measured-tentacle.md 11)."""
    monkeypatch.setattr(agent, "wait_for_end", lambda *_ignored: 0)
    monkeypatch.setattr(agent, "run", lambda *_ignored: pytest.fail("it listens"))
    host = Host(tmp_path).create()
    importing(to_pfx(ONE, None))(host)
    store = host.root / "root/.dotnet/corefx/cryptography/x509stores/my"
    store.mkdir(parents=True)
    host.uid += 1
    called = host.call("agent", "--instance=T1", "--noninteractive")
    assert called.stderr == (
        "The owner of the x509stores is not the current user, please change ownership of the x509stores directory or run with sudo. "
        f"Details: The owner of '{store}' is not the current user.\n"
    )


@pytest.mark.parametrize("keypair", [ONE, TWO], ids=["one", "two"])
def test_import_stores_what_was_given(keypair: Keypair, tmp_path: Path) -> None:
    """Key and thumbprint, readable again by whoever has the machine id."""
    host = Host(tmp_path).create()
    importing(to_pfx(keypair, "secret"), "--pfx-password=secret")(host)
    certificate = host.configuration().certificate()
    assert certificate is not None
    assert certificate.keypair == keypair
    assert host.configuration().thumbprint == keypair.thumbprint
