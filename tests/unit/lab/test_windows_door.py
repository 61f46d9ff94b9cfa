# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Windows of the lab without a fleet: what its door lets in, what it refuses, and its disk, on which nothing is as it lies there."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.plugin_utils import _windows_scripts
from lab.fleet.folders import Folders
from lab.windows import scripts
from lab.windows.door import Door, record_of
from lab.windows.machine import INSTALLED, TEMP, Facts, Installed, Machine, booted_us, command_line, facts_file
from lab.windows.refusal import Failed, Refused
from lab.windows.sight import log_lines
from unit.lab.test_windows_manifests import recorded
from unit.lab.test_windows_specs import text_of

CONFIGURATION = "C:\\Web Shop\\Tentacle.config"
TEXTS = ("LOOK", "SERVED", "ORDER", "REPLACE", "COPY", "REMOVE", "STORE", "PRIVATE", "WRITE", "KEEP", "ERASE")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A host with one configuration and without services, so that no service manager is asked."""
    folders = Folders(tmp_path)
    folders.make()
    folder = folders.host("win-01")
    for inner in ("Web Shop", "ProgramData/Octopus/Tentacle/Instances", "Users/ansible/AppData/Local/Temp", "root"):
        (folder / inner).mkdir(parents=True)
    (folder / "ProgramData" / "machine-id").write_text("0123")
    Facts("WIN-01 1234", "127.0.0.9", booted_us(), [], location=f"{INSTALLED}\\").save(facts_file(folders, "win-01"))
    (folder / "Web Shop" / "Tentacle.config").write_bytes(stored(folder))
    entry = json.dumps({"Name": "Web Shop", "ConfigurationFilePath": f"{folder}/Web Shop/Tentacle.config"}, indent=2)
    (folder / "ProgramData/Octopus/Tentacle/Instances/web-shop.config").write_text(entry)
    return Machine(tmp_path, "win-01")


def stored(folder: Path) -> bytes:
    """As the stand-ins write it."""
    return (
        f'<octopus-settings>\n  <set key="Octopus.Home">{folder}/Web Shop</set>\n  <set key="Tentacle.Certificate">c2VhbGVk</set>\n</octopus-settings>'
    ).encode()


SHOWN = (
    b'<octopus-settings>\r\n  <set key="Octopus.Home">C:\\Web Shop</set>\r\n'
    b'  <set key="Tentacle.Certificate">AQAAANCMnd8BFdERjHoAwE/Cl+sBAAAAc2VhbGVk</set>\r\n</octopus-settings>'
)


def order(module: str, /, check: bool = False, **args: Any) -> tuple[str, bytes]:
    """A module with its arguments, as ansible-core 2.21 sends it."""
    _core, command, data = recorded("2.21.5", "command")
    assert data is not None
    head, _separator, body = data.partition(b"\0\0\0\0")
    manifest = json.loads(body)
    script = f"ansible_collections.ansible.windows.plugins.modules.{module}.ps1"
    manifest["scripts"][script] = {"path": "", "script": base64.b64encode(text_of(module).encode()).decode()}
    manifest["actions"][-1]["params"]["Script"] = script
    manifest["actions"][-1]["params"]["Variables"][0]["Value"] = {**args, "_ansible_check_mode": check, "_ansible_version": "2.21.5"}
    return command, head + b"\0\0\0\0" + json.dumps(manifest).encode()


def run(machine: Machine, module: str, /, check: bool = False, **args: Any) -> dict[str, Any]:
    code, said, complaints = Door(machine, "2.21.5").execute(*order(module, check, **args))
    assert (code, complaints) == (0, b"")
    result: dict[str, Any] = json.loads(said)
    return result


def text(machine: Machine, name: str, /, check: bool = False, **parameters: Any) -> dict[str, Any]:
    """One of the product's texts."""
    script = getattr(_windows_scripts, name)
    return run(machine, "win_powershell", check, script=script, parameters=parameters, depth=8, error_action="stop")


def record(machine: Machine) -> list[tuple[str, dict[str, Any]]]:
    notes = map(json.loads, record_of(machine.folders.root).read_text(encoding="utf-8").splitlines())
    return [(note["what"], note["given"]) for note in notes]


# -- what is refused


def test_every_text_of_the_product_has_been_read_for_the_lab() -> None:
    assert [scripts.known(getattr(_windows_scripts, name)).name for name in TEXTS] == list(TEXTS)
    constants = {value for value in vars(_windows_scripts).values() if isinstance(value, str) and "\nparam (" in value}
    assert constants == {getattr(_windows_scripts, name) for name in TEXTS}


def test_a_text_that_has_changed_is_refused_until_somebody_has_read_it(machine: Machine) -> None:
    script = _windows_scripts.LOOK + " "
    with pytest.raises(Refused, match=rf"the SHA-256 {hashlib.sha256(script.encode()).hexdigest()}.*read the new one, bring lab/windows/scripts\.py"):
        run(machine, "win_powershell", script=script, parameters={}, depth=8)
    assert record(machine)[-1][0] == "refused"


@pytest.mark.parametrize("core", ["2.16.19", "2.21.5", "2.22.0rc1"])
def test_a_module_of_posix_does_not_get_in(machine: Machine, core: str) -> None:
    with pytest.raises(Refused):
        Door(machine, core).execute(*recorded(core, "posix")[1:])


@pytest.mark.parametrize(
    ("name", "args", "sentence"),
    [
        ("win_file", {"path": "C:\\x", "state": "absent"}, "answers for .*, not for win_file"),
        ("win_command", {"argv": ["C:\\x.exe"], "timeout": 5}, "has no option timeout"),
        ("win_command", {"cmd": "dir"}, "is no shell"),
        ("win_powershell", {"path": "C:\\x.ps1"}, "constant texts only, without path"),
        ("win_powershell", {"script": _windows_scripts.LOOK, "chdir": "C:\\"}, "constant texts only, without chdir"),
        ("win_stat", {"path": "C:/Web Shop"}, "is no whole path of Windows"),
        ("win_stat", {"path": "/etc/passwd"}, "is no whole path of Windows"),
        ("win_stat", {"path": "Web Shop"}, "is no whole path of Windows"),
        ("slurp", {"src": "C:\\Web Shop/Tentacle.config"}, "is no whole path of Windows"),
        ("win_find", {"paths": ["C:\\"], "age": "1d"}, "does not know age"),
        ("win_service", {"name": "x", "state": "absent"}, "starts, stops and restarts"),
        ("win_service", {"name": "x", "state": "started", "username": "y"}, "does not know username"),
    ],
)
def test_what_windows_or_the_lab_does_not_know_is_refused(machine: Machine, name: str, args: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        run(machine, name, **args)


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        ("LOOK", {"Verb": "stop"}, "The text LOOK has no parameter Verb"),
        ("LOOK", {"Files": "C:\\x"}, "parameter Files of the text LOOK is of the type list"),
        ("LOOK", {"Files": [1]}, "parameter Files of the text LOOK is of the type list"),
        ("LOOK", {"Logs": 1}, "parameter Logs of the text LOOK is of the type bool"),
        ("LOOK", {"Files": ["C:/x"]}, "is no whole path of Windows"),
        ("SERVED", {"Port": True}, "parameter Port of the text SERVED is of the type int"),
        ("ORDER", {"Seconds": 0.5}, "parameter Seconds of the text ORDER is of the type int"),
        ("ORDER", {"Seconds": 1 << 31}, "parameter Seconds of the text ORDER is of the type int"),
    ],
)
def test_parameters_are_bound_without_conversions(machine: Machine, name: str, parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        text(machine, name, **parameters)


def test_a_result_deeper_than_was_asked_for_is_refused(machine: Machine) -> None:
    with pytest.raises(Refused, match="would flatten this result into text"):
        run(machine, "win_powershell", script=_windows_scripts.LOOK, parameters={"Logs": True, "LogFolders": ["C:\\x"]}, depth=2)


# -- the disk


def test_a_vendors_file_is_shown_as_windows_has_it(machine: Machine) -> None:
    real = machine.disk.real("c:\\WEB shop\\.\\tentacle.CONFIG")
    assert real == machine.disk.folder / "Web Shop" / "Tentacle.config"
    assert machine.disk.read(real) == SHOWN
    machine.disk.replace(real, SHOWN.replace(b"</octopus", b"  <set />\r\n</octopus"), 0o600)
    assert real.read_bytes() == stored(machine.disk.folder).replace(b"</octopus", b"  <set />\n</octopus")


def test_an_entry_of_the_index_is_shown_as_windows_has_it(machine: Machine) -> None:
    real = machine.disk.real("C:\\ProgramData\\Octopus\\Tentacle\\Instances\\web-shop.config")
    assert json.loads(machine.disk.read(real))["ConfigurationFilePath"] == CONFIGURATION
    assert b"\r\n" in machine.disk.read(real)
    with pytest.raises(Refused, match="theirs to write"):
        machine.disk.replace(real, b"{}", 0o600)


@pytest.mark.parametrize(
    "change",
    [lambda data: data.replace(b"\r\n", b"\n"), lambda data: data + b"\n", lambda data: data.replace(b"C:\\Web", b"C:/Web") + b"\n"],
    ids=["all", "one", "path"],
)
def test_what_no_program_of_windows_writes_is_refused(machine: Machine, change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(Refused, match="no program of Windows writes it"):
        machine.disk.replace(machine.disk.real(CONFIGURATION), change(SHOWN), 0o600)
    assert machine.disk.read(machine.disk.real(CONFIGURATION)) == SHOWN


def test_what_the_stand_ins_need_is_not_there(machine: Machine) -> None:
    assert machine.disk.names("C:\\") == ["ProgramData", "Users", "Web Shop"]
    assert machine.disk.names("C:\\programdata") == ["Octopus"]
    assert [machine.disk.exists(path) for path in ("C:\\root", "C:\\ProgramData\\MACHINE-ID", "D:\\", "C:\\Users")] == [False, False, False, True]


def test_files_come_and_go(machine: Machine, tmp_path: Path) -> None:
    door = Door(machine, "2.21.5")
    _core, command, data = recorded("2.21.5", "make_folder")
    folder = door.execute(command, data)[1].decode().rstrip("\r\n")
    assert folder.startswith(f"{TEMP}\\ansible-tmp-")
    (tmp_path / "sent").write_bytes(b"one\ntwo")
    door.put(tmp_path / "sent", f"{folder}\\x.tmp")
    door.fetch(f"{folder}\\X.TMP", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"one\ntwo"
    script = f"Remove-Item '{folder}\\.' -Force -Recurse;"
    door.execute(f"PowerShell -EncodedCommand {base64.b64encode(script.encode('utf-16-le')).decode()}", None)
    assert machine.disk.names(TEMP) == []
    assert [what for what, _given in record(machine)] == ["make folder", "put file", "fetch file", "remove folder"]


# -- modules


def test_modules_that_look(machine: Machine) -> None:
    content = run(machine, "slurp", src=CONFIGURATION.upper())["content"]
    assert base64.b64decode(content) == SHOWN
    stat = run(machine, "win_stat", path=CONFIGURATION)["stat"]
    assert (stat["exists"], stat["isreg"], stat["size"], stat["checksum"]) == (True, True, len(SHOWN), hashlib.sha1(SHOWN).hexdigest())
    assert run(machine, "win_stat", path="C:\\nothing") == {"changed": False, "stat": {"exists": False}}
    found = run(machine, "win_find", paths=["C:\\"], patterns=["*.CONFIG"], recurse=True)
    assert [one["path"] for one in found["files"]] == ["C:\\ProgramData\\Octopus\\Tentacle\\Instances\\web-shop.config", CONFIGURATION]
    regular = run(machine, "win_find", paths=["C:\\Web Shop"], patterns=["^tent"], use_regex=True)
    assert (regular["matched"], regular["examined"]) == (1, 1)
    assert run(machine, "win_service_info") == {"changed": False, "exists": False, "services": []}
    assert run(machine, "win_service", name="x", state="started")["msg"].startswith("Service 'x' is not installed")
    assert run(machine, "slurp", src="C:\\nothing")["failed"]


def test_a_program_that_is_not_there(machine: Machine) -> None:
    result = run(machine, "win_command", argv=["C:\\Windows\\notepad.exe", "a b"])
    assert (result["failed"], result["rc"]) == (True, 2)
    assert "stdout" not in result
    assert result["msg"] == "Failed to run: 'C:\\Windows\\notepad.exe \"a b\"': The system cannot find the file specified"


def test_check_mode_skips_what_acts(machine: Machine) -> None:
    assert text(machine, "REMOVE", check=True, Path=CONFIGURATION)["msg"] == "skipped, running in check mode"
    assert machine.disk.exists(CONFIGURATION)
    assert text(machine, "LOOK", check=True)["result"]["answer"] == ""
    assert run(machine, "win_command", check=True, argv=["x"])["skipped"]


# -- the texts


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def replacement(**more: Any) -> dict[str, Any]:
    at = SHOWN.index(b"</octopus")
    insert = base64.b64encode(b"  <set />\r\n").decode()
    return {
        "Path": CONFIGURATION,
        "Sha256": sha256(SHOWN),
        "Start": at,
        "End": at,
        "Insert": insert,
        "Source": "",
        "Suffix": ".x",
        "Known": [],
        **more,
    }


def test_compare_and_replace(machine: Machine) -> None:
    real = machine.disk.real(CONFIGURATION)
    real.chmod(0o640)
    assert text(machine, "REPLACE", **replacement())["result"]["answer"] == ""
    assert machine.disk.read(real) == SHOWN.replace(b"</octopus", b"  <set />\r\n</octopus")
    assert real.stat().st_mode & 0o777 == 0o640
    assert text(machine, "REPLACE", **replacement())["result"]["answer"] == "changed"
    assert text(machine, "REPLACE", **replacement(Path="C:\\nothing.config"))["result"]["answer"] == "changed"
    assert list(real.parent.iterdir()) == [real]


def test_a_file_that_somebody_holds_is_not_replaced(machine: Machine) -> None:
    real = machine.disk.real(CONFIGURATION)
    with real.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        assert text(machine, "REPLACE", **replacement())["result"]["answer"] == "locked"
    assert machine.disk.read(real) == SHOWN


def test_a_file_that_was_sent_replaces_and_goes(machine: Machine) -> None:
    sent = machine.disk.real(f"{TEMP}\\1.tmp")
    sent.write_bytes(SHOWN.replace(b"Web", b"New"))
    assert text(machine, "REPLACE", **replacement(Sha256="0" * 64, Source=f"{TEMP}\\1.tmp"))["result"]["answer"] == "changed"
    assert not sent.exists()
    sent.write_bytes(SHOWN.replace(b"Web", b"New"))
    assert text(machine, "REPLACE", **replacement(Source=f"{TEMP}\\1.tmp"))["result"]["answer"] == ""
    assert machine.disk.read(machine.disk.real(CONFIGURATION)) == SHOWN.replace(b"Web", b"New")
    assert not sent.exists()


def test_a_link_is_nothing_to_replace(machine: Machine) -> None:
    real = machine.disk.real(CONFIGURATION)
    real.rename(real.with_name("real.config"))
    real.symlink_to("real.config")
    with pytest.raises(Refused, match="which is a link"):
        text(machine, "REPLACE", **replacement())
    fact = next(one for one in text(machine, "LOOK", Files=[CONFIGURATION])["result"]["sight"]["files"] if one["path"] == CONFIGURATION)
    assert (fact["exists"], fact["link"]) == (True, "C:\\Web Shop\\real.config")


def test_a_copy_for_administrators(machine: Machine) -> None:
    copy = {"Path": CONFIGURATION, "Sha256": sha256(SHOWN), "To": "C:\\Copies\\x.bak", "Suffix": ".x", "Move": False}
    assert text(machine, "COPY", **copy)["result"]["answer"] == ""
    assert machine.disk.real("C:\\Copies\\x.bak").read_bytes() == SHOWN
    assert machine.disk.real("C:\\Copies\\x.bak").stat().st_mode & 0o777 == 0o600
    assert text(machine, "COPY", **{**copy, "Sha256": "0" * 64})["result"]["answer"] == "changed"
    assert text(machine, "COPY", **{**copy, "Path": "C:\\Copies\\x.bak", "To": "C:\\y.bak", "Move": True})["result"]["answer"] == ""
    assert machine.disk.names("C:\\Copies") == []
    missing = text(machine, "COPY", **{**copy, "Path": "C:\\nothing"})
    assert (missing["failed"], missing["result"]) == (True, {})
    assert "nothing" in missing["error"][0]["exception"]["message"]


def test_removing(machine: Machine) -> None:
    assert text(machine, "REMOVE", Path=CONFIGURATION)["result"]["answer"] == ""
    assert text(machine, "REMOVE", Path=CONFIGURATION)["result"]["answer"] == ""
    assert not machine.disk.exists(CONFIGURATION)
    assert text(machine, "REMOVE", Path="C:\\Web Shop")["result"]["answer"] == ""
    assert not machine.disk.exists("C:\\Web Shop")
    assert text(machine, "REMOVE", Path="C:\\nothing\\x")["failed"]


def test_nobody_serves(machine: Machine) -> None:
    answer = text(machine, "SERVED", Address="127.0.0.9", Port=9, Seconds=0.3)["result"]["answer"]
    assert answer["certificate"] == ""
    assert answer["said"]


def test_a_service_that_is_not_there(machine: Machine) -> None:
    answer = text(machine, "ORDER", Verb="start", Name="OctopusDeploy Tentacle", Seconds=1)["result"]["answer"]
    assert answer == "there is no service OctopusDeploy Tentacle"


def test_what_is_seen(machine: Machine) -> None:
    sight = text(machine, "LOOK", Index="C:\\ProgramData\\Octopus\\Tentacle\\Instances", Files=["C:\\Nothing"], Logs=True)["result"]["sight"]
    files = {one["path"]: one for one in sight["files"]}
    assert base64.b64decode(files[CONFIGURATION]["data"]) == SHOWN
    assert not files["C:\\Nothing"]["exists"]
    assert {one["path"]: one["names"] for one in sight["folders"]} == {
        "C:\\ProgramData\\Octopus\\Tentacle\\Instances": ["web-shop.config"],
        "C:\\Web Shop": ["Tentacle.config"],
    }
    assert sight["logs"] == [{"folder": "C:\\Web Shop\\Logs", "files": []}]
    assert (sight["elevated"], sight["machine"], sight["location"]) == (True, "WIN-01 1234", "C:\\Program Files\\Octopus Deploy\\Tentacle\\")
    assert [line.split()[0] for line in sight["processes"]] == ["4", "636"]
    assert sight["listeners"] == ["445 4 ::"]
    assert 13_000_000_000_000_000 < sight["now"] < 15_000_000_000_000_000


# -- the texts about a Server's keys


def store(machine: Machine, name: str = "STORE", check: bool = False, **parameters: Any) -> dict[str, Any]:
    found: dict[str, Any] = text(machine, name, check, Folder="C:\\Store", **parameters)["result"]["store"]
    return found


def allowed(found: dict[str, Any]) -> list[str]:
    return [each["sid"] for each in found["access"]["allowed"]]


def test_a_store_is_made_closed_and_what_killed_runs_left_goes(machine: Machine) -> None:
    assert (store(machine)["exists"], store(machine, check=True)["access"]) == (False, None)
    assert store(machine, "PRIVATE", Name="private-a-1", Mine="private-a-")["folders"] == [{"name": "private-a-1", "files": []}]
    found = store(machine, "PRIVATE", Name="private-b-1", Mine="private-b-")
    assert [each["name"] for each in found["folders"]] == ["private-a-1", "private-b-1"]
    found = store(machine, "PRIVATE", Name="private-a-2", Mine="private-a-")
    assert [each["name"] for each in found["folders"]] == ["private-a-2", "private-b-1"]
    assert (allowed(found), found["link"], found["account"]) == (["S-1-5-18", "S-1-5-32-544"], False, "S-1-5-21-1-2-3-1000")


def test_files_in_a_store(machine: Machine, tmp_path: Path) -> None:
    store(machine, "PRIVATE", Name="private-a-1", Mine="private-a-")
    (tmp_path / "sent").write_bytes(b"a PFX")
    Door(machine, "2.21.5").put(tmp_path / "sent", "C:\\Store\\private-a-1\\x.pfx")
    assert store(machine)["folders"] == [{"name": "private-a-1", "files": [{"name": "x.pfx", "size": 5}]}]
    store(machine, "KEEP", Source="C:\\Store\\private-a-1\\x.pfx", Path="C:\\Store\\x.pfx")
    store(machine, "WRITE", Path="C:\\Store\\x.json", Text="{}", Suffix=".y")
    found = store(machine, "ERASE", Path="C:\\Store\\private-a-1")
    files = {each["name"]: base64.b64decode(each["data"]) for each in found["files"]}
    assert (files, found["folders"]) == ({"x.json": b"{}", "x.pfx": b"a PFX"}, [])
    assert store(machine, "ERASE", Path="C:\\Store\\private-a-1")["folders"] == []
    assert text(machine, "WRITE", check=True, Folder="C:\\Store", Path="C:\\Store\\y.json", Text="{}", Suffix=".y")["result"] == {}
    assert not machine.disk.exists("C:\\Store\\y.json")


def test_a_folder_that_somebody_else_has_made_is_open(machine: Machine) -> None:
    machine.disk.real("C:\\Store").mkdir(0o755)
    machine.disk.real("C:\\Store\\big.pfx").write_bytes(bytes((1 << 20) + 1))
    found = store(machine, "PRIVATE", Name="private-a-1", Mine="private-a-")
    assert allowed(found) == ["S-1-5-18", "S-1-5-32-544", "S-1-5-32-545"]
    assert [(each["size"], each["data"], allowed(each)) for each in found["files"]] == [((1 << 20) + 1, None, allowed(found))]
    machine.disk.real("C:\\Store").rename(machine.disk.folder / "Elsewhere")
    machine.disk.real("C:\\Store").symlink_to("Elsewhere")
    assert store(machine)["link"]


# -- logs


def line(pid: int, message: str) -> str:
    return f"2026-11-22 06:00:00.1234  {pid:>5}      1  INFO  {message}\r\n"


def test_log_lines_of_the_processes_asked_about() -> None:
    log = line(8, "old") + line(8, "==== RunAgentCommand ====") + line(8, "start-up") + "  raw\r\n" + line(12, "another") + line(8, "more")
    begun, kept = log_lines(log.encode(), {8}, {8})
    assert begun
    assert [each[46:] for each in kept.splitlines()] == ["==== RunAgentCommand ====", "start-up", "more"]
    assert log_lines(log.encode(), {8}, set())[0] is False
    assert log_lines(log.encode(), {16}, {16}) == (False, "")


def test_log_lines_after_the_start_up_are_those_of_thumbprints_the_newest_of_either_kind() -> None:
    start = line(8, "==== RunAgentCommand ====") + "".join(line(8, f"start-up {number}") for number in range(299))
    later = "".join(line(8, f"identified by thumbprint: {number}") + line(8, f"Thumbprint {number}") + line(8, "noise") for number in range(201))
    _begun, kept = log_lines((start + later).encode(), {8}, {8})
    after = [each[46:] for each in kept.splitlines()[300:]]
    assert after[:2] == ["identified by thumbprint: 1", "Thumbprint 1"]
    assert len(after) == 400


# -- shapes


def test_command_lines() -> None:
    assert command_line(["C:\\a b\\x.exe", "run", "--instance=Web Shop", 'say "hi"', "C:\\d ir\\"]) == (
        '"C:\\a b\\x.exe" run "--instance=Web Shop" "say \\"hi\\"" "C:\\d ir\\\\"'
    )


def test_a_drive_that_is_not_there(machine: Machine) -> None:
    with pytest.raises(Failed, match=r"Could not find a part of the path 'E:\\Octo'"):
        machine.disk.real("E:\\Octo")


def test_what_the_builder_wrote_is_read_again(tmp_path: Path) -> None:
    facts = Facts(
        "WIN-01 1", "127.0.0.9", 5, [Installed("OctopusDeploy Tentacle", "x.service", '"x" run')], registered=[{"name": "x", "path": "C:\\x"}]
    )
    facts.save(tmp_path / "windows" / "x.json")
    assert Facts.load(tmp_path / "windows" / "x.json") == facts
