# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keys of an Octopus Server on a Windows node: the keeper of POSIX through the other hand, in how many round trips, and what travels."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.octofleet.octopus.plugins.action import octo_certificate, octo_node, octo_rotation
from ansible_collections.octofleet.octopus.plugins.module_utils import _certificate
from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import Identity
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import PosixHost
from ansible_collections.octofleet.octopus.plugins.module_utils._keys import holder
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.keeper import Keeper, Outcome, Staging
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from ansible_collections.octofleet.octopus.plugins.module_utils._server.node import NodeKeys
from ansible_collections.octofleet.octopus.plugins.plugin_utils import _keys, _windows_keys, _windows_scripts, _windows_task
from ansible_collections.octofleet.octopus.plugins.plugin_utils._secret_call import SecretCalls
from unit.server.vendor import PASSWORD, PFX_PASSWORD, Vendor
from unit.windows.machine import ABOUT_KEYS, ACCOUNT, ADMINISTRATORS, CREATOR, SYSTEM, USERS, Windows, _declared

STORE = "C:\\ProgramData\\OctopusRotation"
PROGRAM = "C:\\Program Files\\Octopus Deploy\\Octopus\\Octopus.Server.exe"
OLD, NEW, THIRD = (_certificate.make_server_certificate() for _ignored in range(3))
GUIDE = Path(__file__).parents[3] / "docs" / "docsite" / "rst" / "guide_windows.rst"
EXPORT = ["PRIVATE", "export-certificate", "STORE", "fetch", "ERASE"]
IMPORT = ["PRIVATE", "put", "import-certificate", "ERASE"]
PUT = ["STORE", "WRITE", "PRIVATE", "put", "KEEP", "ERASE", "STORE"]


class There:
    """A file of the machine, for the vendor's stand-in."""

    def __init__(self, machine: Windows, path: str) -> None:
        self._machine, self._path = machine, path

    def read_bytes(self) -> bytes:
        return self._machine.get(self._path)

    def write_bytes(self, data: bytes) -> None:
        assert self._path.startswith(f"{STORE}\\private-"), self._path
        self._machine.put(self._path, data)


class Server(Vendor):
    """The Octopus.Server of the other tests, with its files on Windows. ``refuses``: what it says instead of anything else."""

    def __init__(self, machine: Windows, database: Identity, program: str = PROGRAM) -> None:
        super().__init__(database)
        self.machine = machine
        self.refuses = ""
        self.before: Callable[[], None] = lambda: None
        machine.programs[program.lower()] = self.answer

    def _inside(self, path: str) -> Any:
        return There(self.machine, path)

    def answer(self, argv: list[str]) -> Mapping[str, Any]:
        self.before()
        shown = {"changed": True, "cmd": " ".join(argv)}  # as win_command returns it, with the password
        if self.refuses:
            self.calls.append(["Octopus.Server", *argv[1:]])
            return {**shown, "failed": True, "msg": "non-zero return code", "rc": 100, "stdout": "", "stderr": f"{self.refuses}\r\n"}
        done = self.run(["Octopus.Server", *argv[1:]])
        return {**shown, "rc": done.rc, "stdout": done.stdout.replace("\n", "\r\n"), "stderr": done.stderr}


class Carrier:
    """What an action lends, over the machine in memory."""

    def __init__(self, machine: Windows) -> None:
        self.machine = machine
        self.shows = False

    def script(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        return self.machine.module("ansible.windows.win_powershell", args, {})

    def command(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        return self.machine.module("ansible.windows.win_command", args, {})

    def put(self, data: bytes, path: str) -> None:
        self.machine.put_file(path, data)

    def fetch(self, path: str) -> bytes:
        return self.machine.fetch_file(path)

    def refuse_where_it_would_show(self) -> None:
        if self.shows:
            raise OctoError("It would show.")


class Desk:
    """A controller and a Windows node."""

    def __init__(self, copies: Path) -> None:
        self.machine = Windows()
        self.server = Server(self.machine, OLD)
        self.carrier = Carrier(self.machine)
        self.copies = copies
        self.options: dict[str, Any] = {"store": STORE, "instance": "OctopusServer", "executable": None, "timeout": 1}

    def keys(self) -> NodeKeys:
        return _windows_keys.keys_of(self.carrier, self.options)

    def keeper(self, check: bool = False) -> Keeper:
        return Keeper(self.keys(), holder.SERVER, Secret(PASSWORD), PosixHost(lock_parents=()), str(self.copies), check)

    def stage(self, source: str = "vendor", offer: Identity | None = None, check: bool = False) -> Outcome:
        return self.keeper(check).staged(Staging(OLD.thumbprint, None, source, lambda: offer or THIRD))

    def parameters(self) -> str:
        """All that any text was given."""
        return json.dumps([args["parameters"] for _module, args, _environment in self.machine.given if "parameters" in args])

    def kept(self, thumbprint: str) -> bytes:
        return self.machine.get(f"{STORE}\\{thumbprint}.pfx")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "copies")


@pytest.fixture
def staged(desk: Desk) -> Desk:
    """OLD backed up, NEW staged."""
    desk.keeper().backed_up(OLD.thumbprint)
    desk.stage("pfx", NEW)
    desk.server.calls.clear()
    desk.machine.calls.clear()
    return desk


# -- round trips: the numbers of docs/docsite/rst/guide_windows.rst


@pytest.mark.parametrize(
    ("task", "trips"),
    [
        ("``octo_certificate`` that finds nothing to do for ``backed_up`` or ``staged``; check mode", ["STORE"]),
        ("``octo_certificate state=backed_up`` or ``staged`` that stores a certificate of the Server's", ["STORE", *EXPORT, *PUT]),
        ("``octo_certificate state=active`` that imports", ["STORE", *EXPORT, *IMPORT, *EXPORT]),
        ("``octo_certificate state=active`` that finds nothing to do; a gate of a rotation", ["STORE", *EXPORT]),
    ],
    ids=["nothing", "stored", "imported", "gate"],
)
def test_the_guide_has_the_numbers_of_the_tests_below(task: str, trips: list[str]) -> None:
    assert f"* - {task}\n     - {len(trips)}\n" in GUIDE.read_text(encoding="utf-8")


def test_round_trips_of_a_backup(desk: Desk) -> None:
    assert desk.keeper().backed_up(OLD.thumbprint).changed
    assert desk.machine.calls == ["STORE", *EXPORT, *PUT]
    desk.machine.calls.clear()
    assert not desk.keeper().backed_up(OLD.thumbprint).changed
    assert desk.machine.calls == ["STORE"]


def test_round_trips_of_a_new_certificate(desk: Desk) -> None:
    assert desk.stage().changed
    assert desk.machine.calls == ["STORE", "PRIVATE", "new-certificate", *EXPORT[2:], *PUT]
    desk.machine.calls.clear()
    assert not desk.stage().changed
    assert desk.machine.calls == ["STORE"]


def test_round_trips_of_an_import(staged: Desk) -> None:
    assert staged.keeper().active(NEW.thumbprint, OLD.thumbprint).changed
    assert staged.machine.calls == ["STORE", *EXPORT, *IMPORT, *EXPORT]
    staged.machine.calls.clear()
    assert not staged.keeper().active(NEW.thumbprint, OLD.thumbprint).changed
    assert staged.machine.calls == ["STORE", *EXPORT]


def test_round_trips_of_a_gate(staged: Desk) -> None:
    entries, held = staged.keys().inspect()
    assert {entry.thumbprint for entry in entries} == {OLD.thumbprint, NEW.thumbprint}
    assert staged.machine.calls == ["STORE", *EXPORT]
    assert held is not None


@pytest.mark.parametrize("plan", ["backed_up", "staged", "active"])
def test_a_plan_only_looks(desk: Desk, plan: str) -> None:
    keeper = desk.keeper(check=True)
    outcome = {
        "backed_up": lambda: keeper.backed_up(OLD.thumbprint),
        "staged": lambda: desk.stage(check=True),
        "active": lambda: keeper.active(NEW.thumbprint, OLD.thumbprint),
    }[plan]()
    assert outcome.changed
    assert (desk.machine.calls, desk.machine.folders) == (["STORE"], {})


# -- the store


def test_what_is_stored_is_what_posix_stores(desk: Desk) -> None:
    desk.keeper().backed_up(OLD.thumbprint)
    desk.stage("pfx", NEW)
    assert desk.machine.below(STORE) == sorted(f"{one.thumbprint}.{kind}" for one in (OLD, NEW) for kind in ("pfx", "json"))
    note = json.loads(desk.machine.get(f"{STORE}\\{NEW.thumbprint}.json"))
    assert note.keys() == {"thumbprint", "role", "replaces", "created_at", "source"}
    assert (note["role"], note["replaces"], note["source"]) == ("staged", OLD.thumbprint, "pfx")
    for one in (OLD, NEW):
        assert _certificate.open_pfx(desk.kept(one.thumbprint), Secret(PASSWORD)).thumbprint == one.thumbprint
        assert (desk.copies / f"{one.thumbprint}.pfx").exists()
    folder = desk.machine.folders[STORE.lower()]
    assert (folder.owner, folder.allowed) == (ADMINISTRATORS, [SYSTEM, ADMINISTRATORS])


def _open_to_users(desk: Desk) -> None:
    desk.machine.folders[STORE.lower()].allowed.append(USERS)


def _of_a_user(desk: Desk) -> None:
    desk.machine.folders[STORE.lower()].owner = USERS


def _a_link(desk: Desk) -> None:
    desk.machine.folders[STORE.lower()].link = True


def _an_open_file(desk: Desk) -> None:
    """On Windows everybody may pass through a folder that is closed to him, to a file whose name he knows."""
    desk.machine.files[f"{STORE}\\{OLD.thumbprint}.pfx".lower()].allowed.append(USERS)


@pytest.mark.parametrize(
    ("harm", "how"),
    [
        (_open_to_users, r"\(BUILTIN\\Users\). Close it: icacls"),
        (_of_a_user, r"\(BUILTIN\\Users, its owner\)"),
        (_an_open_file, r"\(BUILTIN\\Users\)"),
        (_a_link, "it is a link"),
    ],
    ids=["folder", "owner", "file", "link"],
)
def test_an_open_store_is_refused_before_anything_is_done(staged: Desk, harm: Callable[[Desk], None], how: str) -> None:
    harm(staged)
    with pytest.raises(OctoError, match=f"The key store .*OctopusRotation is open to other users .*{how}"):
        staged.keeper().active(NEW.thumbprint, OLD.thumbprint)
    assert staged.machine.calls == ["STORE"]


def test_administrators_may_have_made_it_themselves(desk: Desk) -> None:
    desk.machine.make_folder(STORE, ACCOUNT, [SYSTEM, ADMINISTRATORS, CREATOR, ACCOUNT])
    assert desk.keeper().backed_up(OLD.thumbprint).changed


def test_a_store_that_somebody_else_has_made_just_now_gets_no_key(desk: Desk) -> None:
    """Between the look and the act, in a folder where everybody may make one."""
    desk.machine.before = [lambda _call: None, lambda _call: desk.machine.make_folder(STORE, USERS, [USERS]) and None]
    with pytest.raises(OctoError, match="open to other users"):
        desk.keeper().backed_up(OLD.thumbprint)
    assert desk.machine.calls == ["STORE", "PRIVATE", "ERASE"]
    assert (desk.machine.below(STORE), desk.machine.carried) == ([], [])


def test_two_runs_do_not_stage_two_certificates(desk: Desk) -> None:
    """The second one read the store before the first one wrote to it."""
    late = desk.keys()
    entries = late.entries()
    desk.stage("pfx", NEW)
    late.entries = lambda: entries  # type: ignore[method-assign]
    keeper = Keeper(late, holder.SERVER, Secret(PASSWORD), PosixHost(lock_parents=()))
    with pytest.raises(OctoError, match=f"already holds {NEW.thumbprint}.* Run again"):
        keeper.staged(Staging(OLD.thumbprint, None, "generated", lambda: THIRD))
    assert desk.kept(NEW.thumbprint)


def test_a_staged_certificate_that_nobody_trusts_makes_room(staged: Desk) -> None:
    wish = Staging(OLD.thumbprint, None, "pfx", lambda: THIRD, (NEW.thumbprint,))
    assert staged.keeper().staged(wish).after == THIRD.thumbprint
    assert {name[:40] for name in staged.machine.below(STORE)} == {OLD.thumbprint, THIRD.thumbprint}
    assert staged.machine.calls == ["STORE", "ERASE", "ERASE", *PUT]


def test_each_reading_of_the_store_is_a_new_one(staged: Desk) -> None:
    keys = staged.keys()
    assert len(keys.entries()) == 2
    for kind in ("pfx", "json"):
        del staged.machine.files[f"{STORE}\\{NEW.thumbprint}.{kind}".lower()]
    assert [entry.thumbprint for entry in keys.entries()] == [OLD.thumbprint]


def test_a_note_that_is_none_and_a_file_that_is_too_large_are_passed_over(staged: Desk) -> None:
    staged.machine.put(f"{STORE}\\{NEW.thumbprint}.json", b"{not json")
    staged.machine.put(f"{STORE}\\{OLD.thumbprint}.pfx", b"x" * ((1 << 20) + 1))
    staged.machine.put(f"{STORE}\\read me.txt", b"x")
    found = {entry.thumbprint: entry for entry in staged.keys().entries()}
    assert (found[NEW.thumbprint].note, found[OLD.thumbprint].pfx) == (None, None)


# -- the private folder


def test_every_file_of_the_vendors_tool_lies_in_a_folder_that_is_gone_afterwards(staged: Desk) -> None:
    staged.keeper().active(NEW.thumbprint, OLD.thumbprint)
    made = {json.dumps(parameters["Name"]) for parameters in staged.machine.parameters("PRIVATE")}
    assert len(made) == len(staged.machine.parameters("PRIVATE"))
    assert not [name for name in staged.machine.below(STORE) if "private" in name]


def test_what_a_killed_run_left_is_swept_by_the_next_call(desk: Desk) -> None:
    with desk.keys()._host.private_folder() as ours:
        mine = ours.rpartition("-")[0]
    folders = {"mine": f"{mine}-0123", "old": f"{STORE}\\private-another-1", "theirs": f"{STORE}\\private-another-2"}
    for name, path in folders.items():
        desk.machine.make_folder(path, age=2 * 86400 if name == "old" else 0)
        desk.machine.put(f"{path}\\certificate.pfx", b"sealed under what nobody knows any more")
    desk.keeper().backed_up(OLD.thumbprint)
    left = [name for name in desk.machine.below(STORE) if "private" in name]
    assert left == ["private-another-2", "private-another-2\\certificate.pfx"]


def test_a_left_over_that_is_still_in_use_is_in_nobodys_way(desk: Desk) -> None:
    desk.machine.make_folder(f"{STORE}\\private-another-1", age=2 * 86400).held = True
    assert desk.keeper().backed_up(OLD.thumbprint).changed


@pytest.mark.parametrize("wrong", [KeyboardInterrupt, OctoError], ids=["interrupted", "unreachable"])
def test_nothing_is_left_after_a_failure(desk: Desk, wrong: type[BaseException]) -> None:
    def fail() -> None:
        desk.machine.put(f"{next(iter(desk.machine.folders.values())).path}\\x.txt", b"")
        raise wrong("in the midst of it")

    desk.server.before = fail
    with pytest.raises(wrong, match="in the midst of it"):
        desk.keeper().backed_up(OLD.thumbprint)
    assert desk.machine.calls == ["STORE", "PRIVATE", "export-certificate", "ERASE"]
    assert not [name for name in desk.machine.below(STORE) if "private" in name]


def test_what_went_wrong_first_is_what_is_told(desk: Desk) -> None:
    def gone() -> None:
        desk.machine._erase = lost  # type: ignore[method-assign]
        raise OctoError("The host is gone.")

    def lost(_parameters: Mapping[str, Any]) -> str:
        raise OSError("nobody there")

    desk.server.before = gone
    with pytest.raises(OctoError, match="The host is gone"):
        desk.keeper().backed_up(OLD.thumbprint)


def test_a_folder_that_does_not_go_is_told(desk: Desk) -> None:
    def held(_parameters: Mapping[str, Any]) -> str:
        raise OSError("The process cannot access the file because it is being used by another process.")

    desk.machine._erase = held  # type: ignore[method-assign]
    with pytest.raises(OctoError, match=r"PowerShell on the host failed at the key store .*: The process cannot access the file"):
        desk.keeper().backed_up(OLD.thumbprint)


def test_only_one_at_a_time_from_a_controller(desk: Desk) -> None:
    """Or one run would sweep the folder of another that lives."""
    with desk.keys()._host.private_folder(), pytest.raises(OctoError, match="is being changed by another run"):
        desk.keys().export()


def test_where_it_would_show_nothing_is_done(staged: Desk) -> None:
    staged.carrier.shows = True
    assert len(staged.keys().entries()) == 2
    with pytest.raises(OctoError, match="It would show"):
        staged.keys().export()
    assert staged.machine.calls == ["STORE"]


# -- decision 11, through this hand


def test_an_import_without_effect_is_no_success(staged: Desk) -> None:
    staged.server.faults["no_effect"] = True
    with pytest.raises(OctoError, match=f"had no effect: .* still holds {OLD.thumbprint}. Octopus.Server says: Certificate imported") as caught:
        staged.keeper().active(NEW.thumbprint, OLD.thumbprint)
    assert caught.value.evidence == {"holds": [OLD.thumbprint]}
    assert staged.machine.calls == ["STORE", *EXPORT, *IMPORT, *EXPORT]


def test_a_third_certificate_is_undone_at_once(staged: Desk) -> None:
    staged.server.faults["third"] = THIRD
    with pytest.raises(OctoError, match=f"then held {THIRD.thumbprint}, so {OLD.thumbprint} was imported again at once and read back"):
        staged.keeper().active(NEW.thumbprint, OLD.thumbprint)
    assert staged.server.database.thumbprint == OLD.thumbprint


@pytest.mark.parametrize("faults", [{"unreadable": True}, {"third": THIRD, "for_ever": True}], ids=["unreadable", "third"])
def test_a_database_that_stays_unknown_is_said_to_be_unknown(staged: Desk, faults: dict[str, Any]) -> None:
    staged.server.faults.update(faults)
    with pytest.raises(OctoError, match=r"is not known\. Restart no node") as caught:
        staged.keeper().active(NEW.thumbprint, OLD.thumbprint)
    assert caught.value.evidence == {"holds": [], "changed": True}
    assert staged.machine.calls.count("import-certificate") == 2


def test_a_stranger_in_the_database_stops_before_the_import(staged: Desk) -> None:
    staged.server.database = THIRD
    with pytest.raises(OctoError, match=f"holds {THIRD.thumbprint}, neither .* Nothing was imported"):
        staged.keeper().active(NEW.thumbprint, OLD.thumbprint)
    assert "import-certificate" not in staged.machine.calls


def test_an_import_that_was_not_carried_is_read_back(staged: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_data: bytes, _path: str) -> None:
        raise OctoError("The file did not arrive.")

    monkeypatch.setattr(staged.carrier, "put", refused)
    with pytest.raises(OctoError, match=r"had no effect: .* Octopus.Server says: The file did not arrive"):
        staged.keeper().active(NEW.thumbprint, OLD.thumbprint)


# -- the vendor's tool


def test_the_vendors_tool_gets_words_and_no_command_line(desk: Desk) -> None:
    desk.keys().export()
    ((_module, args, _environment),) = [one for one in desk.machine.given if one[0] == "ansible.windows.win_command"]
    program, *words = args["argv"]
    assert (program, args["chdir"]) == (PROGRAM, "C:\\")
    assert [re.sub("=.*", "", word) for word in words] == ["export-certificate", "--instance", "--console", "--export-pfx", "--pfx-password"]
    assert words[1] == "--instance=OctopusServer"


@pytest.mark.parametrize(
    ("location", "given", "program"),
    [
        ("", None, PROGRAM),
        ("D:\\Apps\\Octopus Server\\", None, "D:\\Apps\\Octopus Server\\Octopus.Server.exe"),
        ("D:\\Apps\\", ["E:\\Other\\Octopus.Server.exe"], "E:\\Other\\Octopus.Server.exe"),
    ],
    ids=["default", "registry", "given"],
)
def test_the_program_is_where_it_was_installed(tmp_path: Path, location: str, given: list[str] | None, program: str) -> None:
    desk = Desk(tmp_path)
    desk.machine.programs.clear()
    desk.machine.server_location = location
    desk.options["executable"] = given
    Server(desk.machine, OLD, program)
    assert desk.keeper().backed_up(OLD.thumbprint).changed


def test_a_complaint_is_told_with_what_helps(desk: Desk) -> None:
    """H-28; and never with the password that the vendor's tool may repeat."""
    desk.server.refuses = "The X509 certificate CN=Octopus Portal was loaded but the private key was not loaded."
    with pytest.raises(OctoError, match=r"wrote no file and ended with 100\. It says: The X509 .*profile.*become_method: runas") as caught:
        desk.keeper().backed_up(OLD.thumbprint)
    assert not any(password in caught.value.message for password in desk.server.passwords())
    assert "fetch" not in desk.machine.calls


def test_a_complaint_of_an_import_is_told_with_what_helps(staged: Desk) -> None:
    def refuse() -> None:
        staged.server.refuses = "Keyset does not exist" if staged.machine.calls[-1] == "import-certificate" else ""

    staged.server.before = refuse
    with pytest.raises(OctoError, match=r"had no effect: .* Keyset does not exist .*become_method: runas"):
        staged.keeper().active(NEW.thumbprint, OLD.thumbprint)


def test_a_program_that_does_not_start_is_told_without_its_password(desk: Desk) -> None:
    def missing(argv: list[str]) -> Mapping[str, Any]:
        desk.server.calls.append(["Octopus.Server", *argv[1:]])
        return {"failed": True, "rc": 2, "msg": f"Failed to run: '{' '.join(argv)}': The system cannot find the file specified"}

    desk.machine.programs[PROGRAM.lower()] = missing
    with pytest.raises(OctoError, match=r"could not be started: Failed to run: .*--pfx-password=\*{8}.*cannot find the file") as caught:
        desk.keeper().backed_up(OLD.thumbprint)
    (password,) = desk.server.passwords()
    assert password not in f"{caught.value.message} {caught.value.evidence}"


def test_a_container_is_no_matter_of_windows(desk: Desk) -> None:
    desk.options["copy_in"] = ["docker", "cp"]
    with pytest.raises(OctoError, match="Leave them out for one on Windows"):
        desk.keys()


def test_who_is_no_administrator_is_told(desk: Desk) -> None:
    desk.machine.elevated = False
    with pytest.raises(OctoError, match="Administrators"):
        desk.keys().entries()


# -- secrets


def test_secrets_travel_where_they_are_declared_to_and_nowhere_else(desk: Desk) -> None:
    """Markers: PowerShell is told none, whatever was done; one-use passwords stand in the vendor's command line, and nothing that is left opens with one."""
    sealed = _certificate.write_pfx(NEW, Secret(PFX_PASSWORD))
    outcomes = [
        desk.keeper().backed_up(OLD.thumbprint),
        desk.stage("pfx", _certificate.open_pfx(sealed, Secret(PFX_PASSWORD))),
        desk.keeper().active(NEW.thumbprint, OLD.thumbprint),
    ]
    used = desk.server.passwords()
    assert len(used) == 4
    told = desk.parameters()
    commands = json.dumps([args for module, args, _environment in desk.machine.given if module == "ansible.windows.win_command"])
    carried = b"".join(data for _way, _path, data in desk.machine.carried)
    for marker in (PASSWORD, PFX_PASSWORD):
        assert marker not in f"{told} {commands} {outcomes} {desk.machine.below(STORE)}"
        assert marker.encode() not in carried
    assert all(password in commands and password not in f"{told} {outcomes}" for password in used)
    for _way, _path, data in desk.machine.carried:
        assert base64.b64encode(data).decode()[:60] not in told
        assert b"PRIVATE KEY" not in data
    left = [entry.data for key, entry in desk.machine.files.items() if key.startswith(STORE.lower())]
    assert len(left) == 4
    assert not any(password.encode() in data for data in left for password in (*used, PASSWORD, PFX_PASSWORD))


def test_each_command_has_a_password_of_its_own(staged: Desk) -> None:
    staged.keeper().active(NEW.thumbprint, OLD.thumbprint)
    assert len(staged.server.passwords()) == len(staged.server.calls) == 3


@pytest.mark.parametrize("name", ABOUT_KEYS)
def test_no_text_has_room_for_a_secret(name: str) -> None:
    text = getattr(_windows_scripts, name)
    declared = dict(_declared(text))
    assert set(declared) <= {"Folder", "Name", "Mine", "Path", "Text", "Suffix", "Source"}
    assert ("Text" in declared) == (name == "WRITE")
    assert text.startswith("[CmdletBinding(SupportsShouldProcess = $true)]") == (name == "STORE")


@pytest.mark.parametrize("name", ABOUT_KEYS)
def test_no_text_overwrites_what_it_was_given(name: str) -> None:
    """Names of variables ignore case, so that a local one may be a parameter by accident; and every bracket has its partner."""
    text = getattr(_windows_scripts, name)
    assigned = {found.lower() for found in re.findall(r"(?:foreach \()?\$(\w+)(?: in | \+?= )", text[text.index("\n)\n") :])}
    assert assigned & {one.lower() for one in dict(_declared(text))} == set()
    assert {"answer", "found", "rights"} <= assigned
    bare = re.sub(r"'[^'\n]*'|\"[^\"\n]*\"|#[^\n]*", "", text)
    assert [bare.count(one) for one in "({["] == [bare.count(one) for one in ")}]"]


# -- what the action lends


class Connection:
    """Of an action, to the machine in memory; ``wrong`` is what it raises."""

    module_implementation_preferences = (".ps1", ".exe", "")
    has_pipelining = True
    become = None
    transport = "winrm"

    def __init__(self, machine: Windows) -> None:
        self.machine = machine
        self.wrong: list[Exception] = []
        self._play_context = SimpleNamespace(no_log=False)
        self.quiet: list[bool] = []

    def fetch_file(self, path: str, here: str) -> None:
        self.look()
        Path(here).write_bytes(self.machine.fetch_file(path))

    def look(self) -> None:
        self.quiet.append(self._play_context.no_log)
        for one in self.wrong:
            raise one


def action_of(kind: type[SecretCalls], machine: Windows, **task: Any) -> SecretCalls:
    action = kind.__new__(kind)
    given = {"args": {}, "check_mode": False, "async_val": 0, "no_log": False, "delegate_to": "octopus-1", "action": "octofleet.octopus.x", **task}
    action._task = SimpleNamespace(**given)  # type: ignore[assignment]
    connection = Connection(machine)
    action._connection = connection  # type: ignore[assignment]

    def execute(module_name: str, module_args: Mapping[str, Any], task_vars: Any) -> Mapping[str, Any]:
        assert isinstance(task_vars, dict)
        connection.look()
        quiet = (action._task.no_log, connection._play_context.no_log)
        assert quiet == ((True, True) if module_name.endswith("win_command") else (False, False))
        return machine.module(module_name, module_args, {})

    def transfer(path: str, data: bytes) -> str:
        connection.look()
        machine.put_file(path, data)
        return path

    action._execute_module = execute  # type: ignore[method-assign, assignment]
    action._transfer_data = transfer  # type: ignore[method-assign, assignment]
    return action


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_windows_task, "NEEDED", ())
    monkeypatch.setattr(C, "DEFAULT_LOCAL_TMP", str(tmp_path))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("kind", [octo_certificate.ActionModule, octo_rotation.ActionModule], ids=["certificate", "rotation"])
def test_a_windows_node_is_reached_by_the_other_hand(staged: Desk, kind: type[SecretCalls], tmp_path: Path) -> None:
    action = action_of(kind, staged.machine)
    keys = _keys.keys_of(action, {"instance": "OctopusServer", "store": None, "executable": None}, {})
    assert isinstance(keys, NodeKeys)
    keeper = Keeper(keys, holder.SERVER, Secret(PASSWORD), PosixHost(lock_parents=()))
    assert keeper.active(NEW.thumbprint, OLD.thumbprint).changed
    assert staged.machine.calls == ["STORE", *EXPORT, *IMPORT, *EXPORT]
    assert (action._task.no_log, action._connection._play_context.no_log) == (False, False)
    assert not [path for path in tmp_path.iterdir() if path.name != "copies"]  # what was fetched is gone from here, too
    connection: Any = action._connection
    carried = [quiet for quiet, call in zip(connection.quiet, staged.machine.calls, strict=True) if call in ("put", "fetch")]
    assert carried == [True] * 3


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (AnsibleConnectionFailure("no route to host"), "octopus-1 could not be .*: no route to host"),
        (AnsibleError("failed to transfer"), "octopus-1 could not be .*: failed to transfer"),
    ],
    ids=["unreachable", "refused"],
)
def test_a_host_that_cannot_be_reached_is_a_failure_to_judge(desk: Desk, wrong: Exception, words: str, tmp_path: Path) -> None:
    """Not *unreachable*, which would end the play there; and who may carry files is said where files were to be carried."""
    action = action_of(octo_certificate.ActionModule, desk.machine)
    connection: Any = action._connection
    connection.wrong = [wrong]
    lent = _windows_keys.Lent(action, {})
    asks: list[Callable[[], Any]] = [
        _keys.keys_of(action, {"instance": "OctopusServer"}, {}).entries,
        lambda: lent.command({"argv": ["x"]}),
        lambda: lent.fetch(f"{STORE}\\x"),
        lambda: lent.put(b"", f"{STORE}\\x"),
    ]
    for ask, carries in zip(asks, (False, False, True, True), strict=True):
        with pytest.raises(OctoError, match=words) as caught:
            ask()
        assert ("account of the connection itself" in caught.value.message) == (carries and not isinstance(wrong, AnsibleConnectionFailure))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("installed")
def test_debugging_would_show_the_secret(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> None:
    monkeypatch.setattr(C, "DEFAULT_DEBUG", True)
    with pytest.raises(OctoError, match=r"ANSIBLE_DEBUG shows .* Nothing was done"):
        _keys.keys_of(action_of(octo_certificate.ActionModule, desk.machine), {"instance": "OctopusServer"}, {}).export()
    assert desk.machine.calls == []


def certificate(machine: Windows, monkeypatch: pytest.MonkeyPatch, **options: Any) -> dict[str, Any]:
    given = {name: option.get("default") for name, option in octo_certificate.ARGUMENTS.items()}
    given.update(state="backed_up", backup_password=PASSWORD, **options)
    monkeypatch.setattr(octo_certificate, "options_of", lambda *_ignored, **_more: given)
    action: Any = action_of(octo_certificate.ActionModule, machine)
    result: dict[str, Any] = action.act({"inventory_hostname": "octopus-1"})
    return result


@pytest.mark.usefixtures("installed")
def test_a_task_needs_nothing_said_of_windows(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    result = certificate(desk.machine, monkeypatch, application="server", thumbprint=OLD.thumbprint)
    assert (result["changed"], result["failed"]) == (True, False)
    assert result["certificate"]["path"] == f"{STORE}\\{OLD.thumbprint}.pfx"
    assert desk.kept(OLD.thumbprint)


@pytest.mark.usefixtures("installed")
def test_the_keys_of_tentacles_are_not_for_windows(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OctoError, match="keeps the keys of Tentacles on Linux only"):
        certificate(desk.machine, monkeypatch, application="tentacle")
    assert desk.machine.calls == []


@pytest.mark.usefixtures("installed")
def test_the_journal_of_drained_nodes_lies_in_the_store(desk: Desk) -> None:
    journal = _keys.journal_of(action_of(octo_node.ActionModule, desk.machine), "", {})
    assert journal.names() == []
    journal.put(["node-1"])
    assert journal.names() == ["node-1"]
    assert desk.machine.below(STORE) == ["draining.json"]
    journal.drop(["node-1"])
    assert desk.machine.below(STORE) == []
