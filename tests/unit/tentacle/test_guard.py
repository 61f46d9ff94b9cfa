# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands around a vendor command: a host in memory, on which others write beside us."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Process
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import index
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Subject
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.configuration import CERTIFICATE, THUMBPRINT, Configuration
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.guard import Guard
from unit.tentacle.doubles import FOREIGN, NEW, OLD, FakeHost, HandClock, document, trust_json

PATH = "/srv/T1/tentacle.config"
BESIDE = Process(1, 0, 0, ("/opt/octopus/tentacle/Tentacle", "configure", "--instance=T1", f"--trust={FOREIGN}"), 1)
OURS = (CERTIFICATE, THUMBPRINT)


class Scene:
    def __init__(self) -> None:
        self.time = HandClock()
        self.host = FakeHost(self.time)
        self.host.files[PATH] = document(trust_json(OLD))
        self.guard = Guard(self.host, Subject("T1", PATH, ["T1"]), index.DEFAULT_HOME, self.time.clock, patience=1.0)
        self.before: Configuration = self.guard.backed_up()

    def now(self) -> bytes:
        return self.host.files[PATH]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_copy_lies_beside_it(scene: Scene) -> None:
    copies = [path for path in scene.host.files if path.endswith(".bak")]
    assert [path.startswith(f"{PATH}.octofleet-T1-") for path in copies] == [True]
    assert scene.host.files[copies[0]] == scene.now() == scene.before.data


@pytest.mark.parametrize(
    ("after", "free", "word"),
    [
        (document(trust_json(OLD)), (), ""),
        (document(trust_json(OLD, FOREIGN)), OURS, ""),
        (document(trust_json(OLD), Tentacle_CertificateThumbprint=NEW), OURS, ""),
        (document(trust_json(OLD), Tentacle_CertificateThumbprint=NEW), (), "Tentacle.CertificateThumbprint"),
        (document(trust_json(FOREIGN)), OURS, "Tentacle.Communication.TrustedOctopusServers"),
        (document(None), OURS, "Tentacle.Communication.TrustedOctopusServers"),
        (document("[{"), OURS, "cannot be read"),
        (b"", OURS, "is empty"),
    ],
    ids=["same", "added", "certificate", "not-free", "other-pin", "no-trust", "cut-trust", "empty"],
)
def test_what_is_lost_is_put_back_and_what_is_added_stays(scene: Scene, after: bytes, free: tuple[str, ...], word: str) -> None:
    scene.host.files[PATH] = after
    said = scene.guard.mend(scene.before, free)
    assert scene.now() == (scene.before.data if word else after)
    assert (word in said, "It was put back as it was." in said) == (True, bool(word))


def test_a_command_that_still_writes_is_no_damage(scene: Scene) -> None:
    """What it has left so far is not ours to judge, and least of all to overwrite."""
    scene.host.files[PATH] = b""
    scene.host.table[1] = BESIDE
    with pytest.raises(OctoError, match=r"Commands of the vendor are at work on .* 1 seconds: \S+ configure --instance=T1 \(process 1\)") as caught:
        scene.guard.mend(scene.before)
    assert (caught.value.evidence["code"], scene.now()) == ("IN_USE", b"")
    scene.time.then = [lambda: None, done(scene)]
    assert "put back" in scene.guard.mend(scene.before)


def done(scene: Scene) -> Callable[[], None]:
    def end() -> None:
        del scene.host.table[1]

    return end


def test_it_is_put_back_as_soon_as_nobody_is_in_the_way(scene: Scene) -> None:
    scene.host.files[PATH] = b""
    answers = iter(["locked", "busy", "changed"])
    real = scene.host.replace_if_same
    scene.host.replace_if_same = lambda *given: next(answers, "") or real(*given)  # type: ignore[method-assign]
    assert "put back" in scene.guard.mend(scene.before)
    assert scene.now() == scene.before.data


@pytest.mark.parametrize("gone", [True, False], ids=["gone", "locked"])
def test_what_cannot_be_put_back_names_its_copy(scene: Scene, gone: bool) -> None:
    scene.host.files[PATH] = b""
    if gone:
        del scene.host.files[PATH]
    scene.host.replace_if_same = lambda *_ignored: "locked"  # type: ignore[method-assign]
    with pytest.raises(OctoError, match=rf"could not be put back as it was\. Restore it from {PATH}\.octofleet-T1-\S+\.bak before") as caught:
        scene.guard.mend(scene.before)
    assert caught.value.evidence["code"] == "NOT_WRITTEN"
