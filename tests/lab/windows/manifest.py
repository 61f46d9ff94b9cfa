# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ansible-core sends to a Windows host: a PowerShell command line and, on its standard input, the manifest of what is to be run.

Read in the sources of ansible-core 2.16 to 2.22 and recorded from runs of them (samples/): one folder of wrappers to 2.18, a list of
actions from 2.19 on, compressed from 2.22 on. Another core may do it in another way, so it is refused until somebody has looked.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import html
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from lab.windows.refusal import Refused

_SEPARATOR = b"\0\0\0\0"
_WRAPPER = "Ansible requires PowerShell v"  # in the text that starts every wrapper
_MODULE = re.compile(r"ansible_collections\.ansible\.windows\.plugins\.modules\.(\w+)\.ps1")
_MAKE_FOLDER = re.compile(
    r"(?:try \{ \[Console\]::OutputEncoding = New-Object System\.Text\.UTF8Encoding \} catch \{\}\n)?"
    r"\$tmp_path = \[System\.Environment\]::ExpandEnvironmentVariables\('(?P<parent>[^']+)'\)\n"
    r"\$tmp = New-Item -Type Directory -Path \$tmp_path -Name '(?P<name>[^']+)'\n"
    r"Write-Output -InputObject \$tmp\.FullName"
)
_REMOVE = re.compile(r"Remove-Item '?(?P<path>[^']+?)'? -Force -Recurse;?")
_PIPED = re.compile(r"type ['\"]?(?P<path>[^'\"|]+?)['\"]? \| ")  # to 2.20
_ARGUMENT = re.compile(r"<LST><S>(?P<path>[^<]+)</S></LST>")
_FRAME = re.compile(r"\A(?:Set-StrictMode -Version Latest\n)?(.*?)(?:\nIf \(-not \$\?\) \{ If \(Get-Variable LASTEXITCODE [^\n]*)?\Z", re.DOTALL)


@dataclass(frozen=True)
class Call:
    """A module of ansible.windows that is to run."""

    name: str  # without the collection's
    text: str  # the module itself, as the installed collection has it
    args: Mapping[str, Any]
    environment: Mapping[str, str]
    become: str  # "" or the account


class MakeFolder(NamedTuple):
    """A temporary folder of core's own."""

    parent: str
    name: str


class Remove(NamedTuple):
    """That folder goes again."""

    path: str


Order = Call | MakeFolder | Remove


def read(core: str, command: str, data: bytes | None) -> Order:
    """What ``command``, with ``data`` on its standard input, orders; Refused unless it is known to the last."""
    reader = _reader(core)
    script = _script(command)
    if data is None:
        return _bare(script)
    if _WRAPPER not in script:
        raise Refused(f"This is not what ansible-core starts PowerShell with to run a module: {script[:200]!r}")
    pieces = data.split(_SEPARATOR)
    if len(pieces) != 2:
        raise Refused(f"Modules of POSIX are not run on Windows, and this is no manifest: {data[:120]!r}")
    try:
        return reader(pieces[1])
    except (KeyError, TypeError) as error:
        raise Refused(f"This manifest has not the shape of ansible-core {core}'s: {error!r}") from error


def input_file(command: str) -> str:
    """The file that ``command`` takes in the place of its standard input, where ANSIBLE_KEEP_REMOTE_FILES leaves one; or ""."""
    if piped := _PIPED.match(command):
        return piped["path"]
    if "-EncodedArguments" not in command:
        return ""
    found = _ARGUMENT.search(_decoded(command, "-EncodedArguments"))
    return html.unescape(found["path"]) if found else ""


def _script(command: str) -> str:
    return _decoded(command, "-EncodedCommand")


def _decoded(command: str, option: str) -> str:
    words = command.split()
    if option not in words[:-1]:
        raise Refused(f"Windows was given a command line that is not PowerShell's: {command[:200]!r}")
    encoded = words[words.index(option) + 1].strip("'")  # in quotes from 2.21 on, where it has a sign of equality
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-16-le")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Refused(f"The command that PowerShell was given is not encoded as it wants it: {error}") from error


def _bare(script: str) -> Order:
    framed = _FRAME.fullmatch(script.strip())
    text = framed.group(1) if framed else ""
    if made := _MAKE_FOLDER.fullmatch(text):
        return MakeFolder(made["parent"], made["name"])
    if removed := _REMOVE.fullmatch(text):
        return Remove(removed["path"])
    raise Refused(f"PowerShell was given a text that is neither core's own nor a module: {script[:300]!r}")


def _reader(core: str) -> Callable[[bytes], Order]:
    version = re.match(r"(\d+)\.(\d+)\.", core)
    number = (int(version[1]), int(version[2])) if version else (0, 0)
    for first, last, reader in _READERS:
        if first <= number <= last:
            return reader
    known = " to ".join(f"{major}.{minor}" for major, minor in (_READERS[0][0], _READERS[-1][1]))
    raise Refused(
        f"Nobody has read yet what ansible-core {core} sends to a Windows host; lab/windows/manifest.py knows {known}. "
        "Record it, compare it with samples/, and extend the readers there."
    )


def _wrappers(manifest: bytes) -> Order:
    """To 2.18: the module and its arguments lie beside the wrappers that are to be put around it."""
    order = _json(manifest)
    actions = set(order["actions"])
    if actions - {"become_wrapper", "module_powershell_wrapper"} or "module_powershell_wrapper" not in actions:
        raise Refused(f"Of the wrappers of ansible-core the lab knows become's and the module's, not {sorted(actions)}.")
    collection, _dot, name = str(order["module_args"]["_ansible_module_name"]).rpartition(".")
    if collection not in ("", "ansible.windows", "ansible.builtin", "ansible.legacy"):
        raise Refused(f"{collection}.{name} is no module of ansible.windows.")
    become = str(order["become_user"]) if "become_wrapper" in actions else ""
    return Call(name, _text(order["module_entry"]), order["module_args"], order["environment"], become)


def _actions(manifest: bytes) -> Order:
    """From 2.19: a list of scripts to run one inside the other, the last of which is the module's wrapper."""
    order = _json(manifest)
    *around, last = order["actions"]
    if last["name"] == "powershell_mkdtemp.ps1" and not around:
        return MakeFolder(last["params"]["Directory"], last["params"]["Name"])
    if last["name"] != "module_wrapper.ps1" or [action["name"] for action in around] not in ([], ["become_wrapper.ps1"]):
        raise Refused(f"Of the scripts of ansible-core the lab knows become's and the module's, not {[each['name'] for each in order['actions']]}.")
    script, params = str(last["params"]["Script"]), last["params"]
    named = _MODULE.fullmatch(script)
    if named is None:
        raise Refused(f"{script} is no module of ansible.windows.")
    become = str(around[0]["params"]["BecomeUser"]) if around else ""
    return Call(named[1], _text(order["scripts"][script]["script"]), _arguments(params), params["Environment"], become)


def _arguments(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """A text of its own from 2.22, a variable before."""
    if "ArgumentJSON" in params:
        loaded: dict[str, Any] = json.loads(params["ArgumentJSON"])
        return loaded
    (variable,) = params["Variables"]
    if variable["Name"] != "complex_args":
        raise Refused(f"The module's wrapper is given {variable['Name']}, which the lab does not know.")
    value: dict[str, Any] = variable["Value"]
    return value


def _compressed(manifest: bytes) -> Order:
    """From 2.22."""
    try:
        return _actions(gzip.decompress(base64.b64decode(manifest.strip(), validate=True)))
    except (OSError, binascii.Error) as error:
        raise Refused(f"This manifest is not compressed as ansible-core 2.22 does it: {error}") from error


def _json(manifest: bytes) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = json.loads(manifest)
    except ValueError as error:
        raise Refused(f"This is no manifest of this ansible-core: {error}: {manifest[:120]!r}") from error
    return loaded


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode("utf-8-sig")


_READERS: tuple[tuple[tuple[int, int], tuple[int, int], Callable[[bytes], Order]], ...] = (
    ((2, 16), (2, 18), _wrappers),
    ((2, 19), (2, 21), _actions),
    ((2, 22), (2, 22), _compressed),
)
