# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who else could get at a Tentacle's key: what a row says of the configuration as a file and of the account's store."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import FileStat, PosixHost, Service
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import exposure
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Found, Installation, Subject
from unit.tentacle.doubles import OLD, A, B, C, document
from unit.tentacle.world import Tentacle, World

STORE = "/root/.dotnet/corefx/cryptography/x509stores/my"


@pytest.fixture
def world() -> World:
    return World()


def own(tentacle: Tentacle, thumbprint: str) -> None:
    """The certificate that it names as its own."""
    tentacle.write(document("[]", Octopus_Home=f"/srv/{tentacle.name}", Tentacle_CertificateThumbprint=thumbprint))


def store(world: World, *names: str) -> None:
    world.host.files |= {f"{STORE}/{name}": b"" for name in names}


# -- the file


@pytest.mark.parametrize(
    ("mode", "folder", "is_open"),
    [
        (0o644, 0o755, True),
        (0o604, 0o701, True),
        (0o640, 0o755, False),
        (0o600, 0o755, False),
        (0o644, 0o750, False),
        (0o644, 0o700, False),
        (0o644, None, True),  # what is not known of the folder closes nothing
    ],
)
def test_everybody_needs_a_right_on_the_file_and_on_its_folder(world: World, mode: int, folder: int | None, is_open: bool) -> None:
    tentacle = world.add("T1", OLD)
    world.host.stats[tentacle.path] = world.host.stats[tentacle.path]._replace(mode=mode)
    if folder is not None:
        world.host.stats["/srv/T1"] = FileStat(folder, 0, 0, 1, 1, 0)
    assert world.read()[0]["file"] == {"mode": f"{mode:04o}", "modified_at": "1970-01-01T00:16:40.000000Z", "readable_by_others": is_open}


def test_a_file_on_a_disk(tmp_path: Path) -> None:
    path = tmp_path / "Tentacle.config"
    path.write_bytes(b"")
    path.chmod(0o644)
    host = PosixHost()
    for mode, is_open in ((0o755, True), (0o700, False)):
        tmp_path.chmod(mode)
        found = exposure.row_of(host, Subject("T1", str(path), ["T1"]), Found(Service("", False, False, 0, 0, "", "", ())))["file"]
        assert (found["mode"], found["readable_by_others"]) == ("0644", is_open)


def test_a_file_that_went_away_meanwhile_is_not_read(world: World) -> None:
    row = exposure.row_of(world.host, Subject("T1", "/nowhere", ["T1"]), Found(Service("", False, False, 0, 0, "", "", ())))
    assert row == exposure.NOT_READ


def test_newer_than_the_process(world: World) -> None:
    tentacle = world.add("T1", OLD)
    assert world.read()[0]["newer_than_process"] is False
    world.time.time += 5
    tentacle.write(world.host.files[tentacle.path])  # a command that changed no byte
    assert (world.read()[0]["newer_than_process"], world.read()[0]["restart_pending"]) == (True, "no")
    tentacle.obey("restart")
    assert world.read()[0]["newer_than_process"] is False
    tentacle.stop()
    assert world.read()[0]["newer_than_process"] is None


# -- the store


def test_every_key_of_the_store_counts(world: World) -> None:
    own(world.add("T1", OLD), A)
    for names, count in [((), 0), ((f"{A}.pfx",), 1), ((f"{B}.pfx", f"{C.lower()}.PFX", "readme.txt"), 3)]:
        store(world, *names)
        assert world.read("T1")[0]["key_copies"] == count


def test_a_key_that_another_instance_uses_is_no_copy_of_this_ones(world: World) -> None:
    own(world.add("T1", OLD), A)
    own(world.add("T2", OLD, port=10934), B)
    store(world, f"{A}.pfx", f"{B}.pfx")
    assert [row["key_copies"] for row in world.read()] == [1, 1]
    store(world, f"{C}.pfx")
    assert [row["key_copies"] for row in world.read()] == [2, 2]
    own(world.tentacles["T2"], "")  # its own row says what is wrong with it
    assert [row["key_copies"] for row in world.read("T1")] == [3]
    world.tentacles["T2"].write(b"<")
    assert [row["key_copies"] for row in world.read("T1")] == [3]


def test_two_names_of_one_instance_are_one(world: World) -> None:
    tentacle = world.add("T1", OLD)
    own(tentacle, A)
    world.host.files["/etc/octopus/Tentacle/Instances/twin.config"] = f'{{"Name":"Twin","ConfigurationFilePath":"{tentacle.path}"}}'.encode()
    store(world, f"{A}.pfx", f"{B}.pfx")
    assert [row["key_copies"] for row in world.read()] == [2, 2]


def test_a_store_that_may_not_be_looked_into(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add("T1", OLD)
    names_in = world.host.names_in

    def guarded(folder: str) -> list[str]:
        if folder == STORE:
            raise OctoError(f"The folder {folder} could not be read: Permission denied.", code="UNREADABLE")
        return names_in(folder)

    monkeypatch.setattr(world.host, "names_in", guarded)
    (row,) = world.read()
    assert (row["ok"], row["key_copies"]) == (True, None)


def test_without_a_known_account_there_is_no_store(world: World) -> None:
    tentacle = world.add("T1", OLD)
    store(world, f"{A}.pfx")
    service = world.host.services.pop(tentacle.unit)
    assert world.read("T1", Installation(restart=["docker", "restart", "t1"]))[0]["key_copies"] == 1  # its process is there
    tentacle.stop()
    assert world.read("T1")[0]["key_copies"] == 1  # the unit knows the account
    del world.host.services[tentacle.unit]
    assert world.read("T1", Installation(restart=["docker", "restart", "t1"]))[0]["key_copies"] is None
    world.host.services[tentacle.unit] = service._replace(argv=("/usr/sbin/sshd",))
    assert world.read("T1")[0]["key_copies"] is None
    world.host.services[tentacle.unit] = service._replace(user="nobody knows")
    assert world.read("T1")[0]["key_copies"] is None
