# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The habits of the vendor's option parser (contracts/tentacle-cli.md 1.2, 1.4)."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab.tentacle.calling import Host

A, B = "A" * 40, "B" * 40


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path).create()


@pytest.mark.parametrize(
    "words",
    [
        [f"--trust={A}"],
        [f"--trust:{A}"],
        [f"-trust={A}"],
        [f"-trust:{A}"],
        [f"/trust={A}"],
        [f"/trust:{A}"],
        ["--trust", A],
        ["-trust", A],
        ["/trust", A],
        [f"--TRUST={A}"],
        [f"--Trust={A}\n"],  # one newline at the end is dropped
    ],
)
def test_forms_of_an_option(host: Host, words: list[str]) -> None:
    """Three prefixes, two separators or none, any letter case."""
    assert host.call("configure", "--instance=T1", *words).code == 0
    assert host.trusted() == [A]


@pytest.mark.parametrize(
    ("words", "stored"),
    [
        (["--trust=a=b:c"], ["a=b:c"]),  # the name ends at the first separator
        (["--trust", "--bogus"], ["--bogus"]),  # the next argument, whatever it looks like
        (["--trust", f"--remove-trust={B}"], [f"--remove-trust={B}"]),
        (["--trust", f"two\nlines{A}"], [f"two\nlines{A}"]),  # the two-argument form keeps newlines
        ([f"--trust={A}", f"--trust={B}"], [A, B]),
        ([f"--trust={A}", "--reset-trust-"], [A]),  # a suffix switches on too; reset comes first
        ([f"--trust={A}", "--reset-trust+"], [A]),
        ([f"--trust={A}", "--port", "1", "--port", "2"], [A]),  # the last one of a scalar wins
    ],
)
def test_values(host: Host, words: list[str], stored: list[str]) -> None:
    assert host.call("configure", "--instance=T1", *words).code == 0
    assert host.trusted() == stored


def test_last_scalar_wins(host: Host) -> None:
    host.call("configure", "--instance=T1", "--port=1", "--port=2")
    assert host.configuration().port == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--bogus=1"],
        ["loose"],
        ["--", f"--trust={A}"],
        [f"--trust={A}\nsecond line"],  # the whole argument is echoed, were it a secret
        ["--b"],
        ["-bogus"],
    ],
)
def test_left_over(host: Host, words: list[str]) -> None:
    """Exit 1, one line on stderr, nothing on stdout, nothing written."""
    before = host.path().read_bytes()
    called = host.call("configure", "--instance=T1", *words)
    left = [word for word in words if word != "--"]
    assert (called.code, called.stdout) == (1, "")
    assert called.stderr == f"Unrecognized command line arguments: {' '.join(left)}\n"
    assert host.path().read_bytes() == before


def test_value_eaten_by_an_earlier_pass(host: Host) -> None:
    """A value of its own that spells a common switch never reaches the command: what follows becomes the value."""
    host.call("configure", "--instance=T1", "--trust", "--console", A)
    assert host.trusted() == [A]


@pytest.mark.parametrize("words", [["-b"], ["-B"], ["--if-blank"], ["--if-blank=no"], ["/b"], ["-b="]])
def test_short_switch(host: Host, words: list[str]) -> None:
    assert host.call("new-certificate", "--instance=T1").code == 0
    thumbprint = host.configuration().thumbprint
    assert host.call("new-certificate", "--instance=T1", *words).stdout == "A certificate already exists, no changes will be applied.\n"
    assert host.configuration().thumbprint == thumbprint


@pytest.mark.parametrize("words", [["-e", "F"], ["-eF"], ["-e=F"], ["-e:F"]])
def test_short_option_with_a_value(host: Host, words: list[str]) -> None:
    host.call("new-certificate", "--instance=T1")
    assert host.call("show-thumbprint", "--instance=T1", *words).code == 0
    assert (host.root / "cwd/F").read_text() == host.configuration().thumbprint


def test_bundle_with_an_unknown_letter(host: Host) -> None:
    called = host.call("new-certificate", "--instance=T1", "-bx")
    assert called.code == 100
    assert "Cannot bundle unregistered option '-x'." in called.stderr


@pytest.mark.parametrize("word", ["version", "--version", "/VERSION", "-Version"])
def test_command_word(host: Host, word: str) -> None:
    assert host.call(word).stdout == host.settings.version


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 2),
        (["--help"], 2),
        (["frobnicate"], 2),
        (["--instance=T1", "configure"], 2),
        (["help"], 0),
        (["-h"], 0),
        (["/?"], 0),
        (["help", "bogus"], 0),
        (["help", "configure"], 0),
        (["configure", "--help"], 0),
        (["configure", "--instance=NOPE", "--help"], 0),
        (["show-thumbprint", "--instance"], 100),
        (["list-instances", "--instance=T1"], 1),
        (["service", "--config=x", "--start"], 1),
    ],
)
def test_exit_codes(host: Host, words: list[str], code: int) -> None:
    assert host.call(*words).code == code


def test_trailing_instance_is_too_early_for_the_block(host: Host) -> None:
    """The failure comes before a host is chosen, so nothing is said about log files."""
    assert "Terminating process" not in host.call("show-thumbprint", "--instance").stderr
    assert "Terminating process with exit code 100" in host.call("configure", "--instance=T1", "--trust").stderr


def test_help_in_json_lists_options(host: Host) -> None:
    """Feature detection: works without a valid instance."""
    import json

    described = json.loads(host.call("configure", "--instance=NOPE", "--help", "--format=json").stdout)
    assert [each["Name"] for each in described["CommonOptions"]] == ["help"]
    assert {"trust", "remove-trust", "reset-trust", "instance", "config"} <= {each["Name"] for each in described["Options"]}
    names = [each["Name"] for each in json.loads(host.call("help", "--format=json").stdout)["Commands"]]
    assert names == sorted(names)


def test_every_command_has_help(host: Host) -> None:
    import json

    for each in json.loads(host.call("help", "--format=json").stdout)["Commands"]:
        assert host.call(each["Name"], "--help").stdout.startswith(f"Usage: Tentacle {each['Name']} [<options>]\n")
