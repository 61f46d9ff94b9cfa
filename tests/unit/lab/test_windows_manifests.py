# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ansible-core sends to a Windows host, from recorded runs of the oldest core to the newest, read to the last word or refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from lab.windows import manifest
from lab.windows.manifest import Call, MakeFolder, Remove, input_file, read
from lab.windows.refusal import Refused
from lab.windows.specs import conform

SAMPLES = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in Path(manifest.__file__).with_name("samples").glob("*.json")}
CORES = sorted(SAMPLES)


def recorded(core: str, what: str) -> tuple[str, str, bytes | None]:
    order = SAMPLES[core]["orders"][what]
    return core, order["command"], None if order["data"] is None else order["data"].encode("latin-1")


def test_every_shape_has_a_sample() -> None:
    assert [core.rpartition(".")[0] for core in CORES] == ["2.16", "2.18", "2.19", "2.20", "2.21", "2.22"]


@pytest.mark.parametrize("core", CORES)
def test_a_module_with_its_arguments_and_its_environment(core: str) -> None:
    call = read(*recorded(core, "command"))
    assert isinstance(call, Call)
    assert (call.name, call.environment, call.become) == ("win_command", {"A": "B c"}, "")
    params = conform(call.name, call.text, call.args)
    given = {name: value for name, value in params.items() if value is not None}
    assert given == {"argv": ["C:\\x\\y.exe", "a b"], "chdir": "C:\\", "stdin": "\u00e4"}
    assert call.args["_ansible_check_mode"] is False


@pytest.mark.parametrize("core", CORES)
def test_another_account(core: str) -> None:
    call = read(*recorded(core, "become"))
    assert isinstance(call, Call)
    assert (call.name, call.become) == ("win_ping", "SYSTEM")


@pytest.mark.parametrize("core", CORES)
def test_the_temporary_folder_comes_and_goes(core: str) -> None:
    made = read(*recorded(core, "make_folder"))
    assert isinstance(made, MakeFolder)
    assert made.parent == "%TEMP%"
    assert made.name.startswith("ansible-tmp-")
    assert read(*recorded(core, "remove")) == Remove("C:\\Temp\\ansible-tmp-1\\.")


@pytest.mark.parametrize("core", CORES)
def test_a_manifest_that_is_kept_as_a_file(core: str) -> None:
    """ANSIBLE_KEEP_REMOTE_FILES: what would be on the standard input lies in the temporary folder."""
    _core, command, data = recorded(core, "kept")
    assert data is None
    assert input_file(command) == "C:\\Temp\\ansible-tmp-1\\AnsiballZ_win_ping.ps1"
    call = read(core, command, recorded(core, "become")[2])
    assert isinstance(call, Call)
    assert call.name == "win_ping"
    assert input_file(recorded(core, "command")[1]) == ""


@pytest.mark.parametrize("core", CORES)
def test_a_module_of_posix_is_refused(core: str) -> None:
    with pytest.raises(Refused, match=r"Modules of POSIX are not run on Windows|This is not what ansible-core starts PowerShell with"):
        read(*recorded(core, "posix"))


@pytest.mark.parametrize("core", ["2.15.9", "2.23.0b1", "3.0.0", "devel"])
def test_a_core_that_nobody_has_read_is_refused(core: str) -> None:
    _core, command, data = recorded("2.21.5", "command")
    with pytest.raises(Refused, match=rf"Nobody has read yet what ansible-core {core} sends to a Windows host.*knows 2\.16 to 2\.22"):
        read(core, command, data)


@pytest.mark.parametrize(("theirs", "ours"), [("2.21.5", "2.18.19"), ("2.18.19", "2.21.5"), ("2.21.5", "2.22.0rc1"), ("2.22.0rc1", "2.21.5")])
def test_the_manifest_of_another_core_is_refused(theirs: str, ours: str) -> None:
    _core, command, data = recorded(theirs, "command")
    with pytest.raises(Refused, match=r"manifest"):
        read(ours, command, data)


def changed(core: str, change: Any) -> tuple[str, str, bytes]:
    """A recorded order whose manifest is not what it was."""
    _core, command, data = recorded(core, "command")
    assert data is not None
    head, _separator, body = data.partition(b"\0\0\0\0")
    loaded = json.loads(body)
    change(loaded)
    return core, command, head + b"\0\0\0\0" + json.dumps(loaded).encode()


def test_a_module_of_another_collection_is_refused() -> None:
    def rename(loaded: dict[str, Any]) -> None:
        loaded["actions"][-1]["params"]["Script"] = "ansible_collections.community.windows.plugins.modules.win_file.ps1"

    with pytest.raises(Refused, match=r"community\.windows\.plugins\.modules\.win_file\.ps1 is no module of ansible\.windows"):
        read(*changed("2.21.5", rename))

    def rename_old(loaded: dict[str, Any]) -> None:
        loaded["module_args"]["_ansible_module_name"] = "community.windows.win_file"

    with pytest.raises(Refused, match=r"community\.windows\.win_file is no module of ansible\.windows"):
        read(*changed("2.18.19", rename_old))


@pytest.mark.parametrize(
    ("core", "change"),
    [
        ("2.18.19", lambda loaded: loaded["actions"].insert(0, "async_watchdog")),
        ("2.21.5", lambda loaded: loaded["actions"].insert(0, {"name": "async_wrapper.ps1", "params": {}})),
        ("2.21.5", lambda loaded: loaded["actions"][-1]["params"]["Variables"][0].update(Name="simple_args")),
    ],
    ids=["old", "new", "arguments"],
)
def test_wrappers_that_the_lab_does_not_know_are_refused(core: str, change: Any) -> None:
    with pytest.raises(Refused, match="the lab"):
        read(*changed(core, change))


@pytest.mark.parametrize(
    "script",
    ["Get-Process", "Remove-Item 'C:\\Temp' -Force -Recurse; Get-Process", "Set-StrictMode -Version Latest\nRemove-Item C:\\x -Force"],
    ids=["any", "two", "file"],
)
def test_a_text_on_the_command_line_is_refused(script: str) -> None:
    command = f"PowerShell -EncodedCommand {base64.b64encode(script.encode('utf-16-le')).decode()}"
    with pytest.raises(Refused, match="neither core's own nor a module"):
        read("2.21.5", command, None)
    with pytest.raises(Refused, match="This is not what ansible-core starts PowerShell with"):
        read("2.21.5", command, b"{}")


@pytest.mark.parametrize("command", ["/bin/sh -c 'echo ~'", "dir", "PowerShell -EncodedCommand"])
def test_a_command_line_that_is_not_powershells_is_refused(command: str) -> None:
    with pytest.raises(Refused, match="not PowerShell's"):
        read("2.21.5", command, None)
