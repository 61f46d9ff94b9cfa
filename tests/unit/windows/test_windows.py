# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks on a Windows host: what they read, write and restart, in how many round trips, and that it is what they do on POSIX."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import manage, trust, visit
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Installation
from ansible_collections.octofleet.octopus.plugins.plugin_utils import _windows, _windows_scripts
from unit.tentacle.doubles import CERTIFICATE, FOREIGN, NEW, OLD, entry_json, trust_json
from unit.tentacle.world import World
from unit.windows.machine import EXECUTABLE, PORT, READS, Windows

POLLS = entry_json(OLD, 2, "https://server:10943/", "poll://abcdefghjklmnpqrstuv/")
PRESENT: dict[str, Any] = {"instance": "Tentacle", "thumbprints": [NEW]}


@pytest.fixture
def machine() -> Windows:
    return Windows()


# -- round trips: the numbers of docs/docsite/rst/guide_windows.rst


def test_one_round_trip_reads_every_instance(machine: Windows) -> None:
    machine.add("Tentacle", OLD)
    machine.add("Second", OLD, port=10934)
    assert [row["ok"] for row in machine.task("octo_instance_info")["instances"]] == [True, True]
    assert machine.calls == ["LOOK"]


def test_seven_round_trips_write_and_restart(machine: Windows) -> None:
    machine.add("Tentacle", OLD)
    assert machine.row("octo_trust", **PRESENT)["restarted"]
    assert machine.calls == ["LOOK", "LOOK", "SERVED", "COPY", "REPLACE", "ORDER", "SERVED"]


def test_two_round_trips_find_that_there_is_nothing_to_do(machine: Windows) -> None:
    machine.add("Tentacle", OLD)
    machine.task("octo_trust", **PRESENT)
    machine.calls.clear()
    assert not machine.task("octo_trust", **PRESENT)["changed"]
    assert machine.calls == ["LOOK", "LOOK"]


@pytest.mark.parametrize(
    ("state", "calls"),
    [
        ("started", ["LOOK", "LOOK", "SERVED"]),
        ("stopped", ["LOOK", "LOOK", "ORDER"]),
        ("restarted", ["LOOK", "LOOK", "ORDER", "SERVED"]),
        ("restarted_if_stale", ["LOOK", "LOOK", "SERVED"]),
    ],
)
def test_round_trips_of_a_service(machine: Windows, state: str, calls: list[str]) -> None:
    machine.add("Tentacle", OLD)
    machine.task("octo_service", instance="Tentacle", state=state)
    assert machine.calls == calls


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("octo_instance_info", {}),
        ("octo_trust", PRESENT),
        ("octo_service", {"instance": "*", "state": "restarted"}),
        ("octo_service", {"instance": "*", "state": "stopped"}),
    ],
    ids=["info", "trust", "restart", "stop"],
)
def test_check_mode_only_looks(machine: Windows, name: str, task: dict[str, Any]) -> None:
    machine.add("Tentacle", OLD)
    before = dict(machine.files)
    assert machine.task(name, check=True, **task)["changed"] == (name != "octo_instance_info")
    assert set(machine.calls) <= set(READS)
    assert machine.files == before


# -- what is read


def test_a_row_has_the_words_of_windows(machine: Windows) -> None:
    machine.add("My Shop", OLD, account="CORP\\octopus$")
    row = machine.row()
    assert row["configuration"] == "C:\\Octopus\\My Shop\\Tentacle-My Shop.config"
    assert row["restart_pending"] == "no"
    assert row["ready"] == {"ok": True, "reasons": []}
    service = row["service"]
    assert service["unit"] == "OctopusDeploy Tentacle: My Shop"
    assert service["argv"] == [EXECUTABLE, "run", "--instance=My Shop"]
    assert service["user"] == "CORP\\octopus$"
    assert service["started_at"] == "2025-08-18T14:30:00.500000Z"
    assert service["active"]
    assert row["file"] == {"mode": None, "modified_at": "2025-08-18T14:30:00.000000Z", "readable_by_others": None}
    assert (row["key_copies"], row["newer_than_process"]) == (None, False)


def test_a_configuration_newer_than_its_process(machine: Windows) -> None:
    tentacle = machine.add("T1", OLD)
    tentacle.machine.time.time += 5
    machine.put(tentacle.path, machine.get(tentacle.path))
    assert machine.row()["newer_than_process"]
    assert machine.calls == ["LOOK"]


def test_the_same_row_as_on_posix(machine: Windows) -> None:
    """Same keys all the way down, and the same answers where the two systems agree."""
    machine.add("T1", OLD, FOREIGN)
    world = World()
    world.add("T1", OLD, FOREIGN)
    theirs, ours = world.read("T1")[0], machine.row(instance="T1")
    assert _shape(ours) == _shape(theirs)
    for key in ("ok", "code", "thumbprint", "communication", "listening", "trust", "restart_pending", "pins_in_process", "ready"):
        assert ours[key] == theirs[key], key


def test_the_same_visit_as_on_posix(machine: Windows) -> None:
    machine.add("T1", OLD)
    world = World()
    world.add("T1", OLD)
    ours = machine.row("octo_trust", instance="t1", thumbprints=[NEW])
    (theirs,) = world.visit(trust.Wish("present", (NEW,)), "t1")
    assert _shape(ours) == _shape(theirs)
    for key in ("ok", "changed", "before", "after", "restarted", "trust", "pins_in_process"):
        assert ours[key] == theirs[key], key


@pytest.mark.parametrize(
    "wish",
    [trust.Wish("absent", (OLD,)), trust.Wish("exact", (NEW,)), trust.Wish("present", (NEW,))],
    ids=["last", "unknown", "stopped"],
)
def test_refusals_have_the_sentences_of_posix(machine: Windows, wish: trust.Wish) -> None:
    world = World()
    tentacles: list[Any] = [machine.add("T1", OLD), world.add("T1", OLD)]
    for tentacle in tentacles if wish.state == "present" else []:
        tentacle.stop()
    task = visit.TrustTask("T1", wish, permit=visit.Permit(("*",)))
    (theirs,) = visit.trust_rows(world.hands, task, Installation())
    ours = machine.row("octo_trust", instance="T1", thumbprints=[*wish.thumbprints], state=wish.state, permit={"edges": ["*"]})
    assert not ours["ok"]
    assert ours["code"] == theirs["code"]
    assert _neutral(ours["reason"]) == _neutral(theirs["reason"])
    assert set(machine.calls) <= set(READS)


def _neutral(text: str) -> str:
    return re.sub(r"OctopusDeploy Tentacle: T1|T1\.service|C:[^ ]*\.config|/srv[^ ]*\.config", "X", text)


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items()}
    return [_shape(inner) for inner in value[:1] if isinstance(inner, dict)] if isinstance(value, list) else None


def test_paths_ignore_case(machine: Windows) -> None:
    tentacle = machine.add("Tentacle", OLD)
    index = f"{_windows.HOME}\\Tentacle\\Instances"
    machine.put(f"{index}\\copy.config", b'{"Name": "Copy", "ConfigurationFilePath": "c:\\\\OCTOPUS\\\\tentacle.CONFIG"}')
    machine.services[tentacle.service]["command"] = f'"{EXECUTABLE}" run --instance="copy"'
    assert machine.row(instance="Tentacle")["service"]["pid"] == tentacle.pid


def test_old_instances_are_found_in_the_registry(machine: Windows) -> None:
    tentacle = machine.add("Tentacle", OLD)
    machine.registered = [("Tentacle", "C:\\gone.config"), ("Old", tentacle.path)]
    assert [(row["instance"], row["configuration"]) for row in machine.task("octo_instance_info")["instances"]] == [
        ("Old", tentacle.path),
        ("Tentacle", tentacle.path),
    ]


def test_a_link_is_followed(machine: Windows) -> None:
    tentacle = machine.add("Tentacle", OLD)
    real = "E:\\Data\\Real.config"
    machine.put(real, machine.files.pop(tentacle.path.lower()).data)
    machine.links[tentacle.path.lower()] = real
    assert machine.row("octo_trust", **PRESENT, restart=False)["configuration"] == real
    assert [parameters["Path"] for parameters in machine.parameters("REPLACE")] == [real]


def test_another_index(machine: Windows) -> None:
    machine.put("E:\\Octo\\Tentacle\\Instances\\x.config", b'{"Name": "X", "ConfigurationFilePath": "E:\\\\x.config"}')
    row = machine.row(machine_configuration_home="E:\\Octo\\")
    assert (row["instance"], row["code"]) == ("X", "CONFIGURATION_MISSING")


def test_a_service_that_reads_another_index_is_not_the_one(machine: Windows) -> None:
    tentacle = machine.add("Tentacle", OLD)
    machine.services[tentacle.service]["home"] = "E:\\Octo"
    row = machine.row()
    assert row["ready"]["reasons"][0]["code"] == "SERVICE_UNKNOWN"
    assert "E:\\Octo" in row["ready"]["reasons"][0]["sentence"]


def test_a_service_may_have_another_name(machine: Windows) -> None:
    tentacle = machine.add("Shop", OLD)
    machine.services["shop-tentacle"] = {**machine.services.pop(tentacle.service), "name": "shop-tentacle"}
    row = machine.row(service="{instance}-Tentacle")
    assert row["service"]["unit"] == "Shop-Tentacle"
    assert row["service"]["pid"] == tentacle.pid


def test_what_the_look_did_not_foresee_is_asked_for(machine: Windows) -> None:
    """A home that is written in another way than the look ahead expects costs a round trip, not an answer."""
    tentacle = machine.add("Tentacle", OLD)
    machine.put(tentacle.path, machine.get(tentacle.path).replace(b'key="Octopus.Home"', b'KEY="x" key="Octopus.Home"'))
    machine.put("C:\\Octopus\\here\\Logs\\OctopusTentacle.txt", machine.get("C:\\Octopus\\Logs\\OctopusTentacle.txt"))
    machine.put(tentacle.path, machine.get(tentacle.path).replace(b">C:\\Octopus<", b">C:\\Octopus\\here<"))
    assert machine.row()["pins_in_process"] == [OLD]
    assert machine.calls == ["LOOK", "LOOK"]


def test_the_machine_key_is_not_judged(machine: Windows) -> None:
    """DPAPI keeps it, and nothing that is stored tells whether it still could (tentacle-cli.md 3.5)."""
    tentacle = machine.add("Tentacle", OLD)
    machine.put(tentacle.path, re.sub(rb"(Tentacle\.Certificate\">)[^<]+", rb"\1bm90IG9wZW5lZCBieSB1cw==", machine.get(tentacle.path)))
    assert machine.row()["ready"]["ok"]
    machine.put(tentacle.path, re.sub(rb"(Tentacle\.Certificate\">)[^<]+", rb"\1", machine.get(tentacle.path)))
    assert [reason["code"] for reason in machine.row()["ready"]["reasons"]] == ["IDENTITY_AT_RISK"]


def _port_of_another(machine: Windows) -> None:
    machine.listeners = [(PORT, 4, "0.0.0.0")]


def _nobody_listens(machine: Windows) -> None:
    machine.listeners.clear()
    machine.time.time += 100


def _newer_program(machine: Windows) -> None:
    machine.put(EXECUTABLE, b"MZ", machine.now + 1)


def _no_program(machine: Windows) -> None:
    del machine.files[EXECUTABLE.lower()]


@pytest.mark.parametrize(
    ("harm", "code"),
    [(_port_of_another, "PORT_TAKEN"), (_nobody_listens, "NOT_LISTENING"), (_newer_program, "HIDDEN_UPGRADE"), (_no_program, "EXECUTABLE_MISSING")],
    ids=["port", "deaf", "upgrade", "program"],
)
def test_who_is_not_ready_is_left_alone(machine: Windows, harm: Callable[[Windows], None], code: str) -> None:
    tentacle = machine.add("Tentacle", OLD)
    harm(machine)
    row = machine.row("octo_trust", **PRESENT)
    assert (row["ok"], row["code"]) == (False, code)
    assert tentacle.pins() == [OLD]
    assert set(machine.calls) <= set(READS)


# -- what is written


def test_only_the_trust_changes_and_nothing_of_the_key_travels(machine: Windows) -> None:
    tentacle = machine.add("Tentacle", OLD, FOREIGN)
    before = machine.get(tentacle.path)
    machine.task("octo_trust", **PRESENT)
    after = machine.get(tentacle.path)
    assert after == before.replace(trust_json(OLD, FOREIGN).encode(), trust_json(OLD, FOREIGN, NEW).encode())
    assert b"\r\n" in after
    (parameters,) = machine.parameters("REPLACE")
    assert len(parameters["Insert"]) < 400
    assert machine.transferred == []  # and each call's parameters were looked through for the key (machine.py)


def test_a_copy_is_kept_and_the_oldest_goes(machine: Windows) -> None:
    tentacle = machine.add("Tentacle", OLD)
    before = machine.get(tentacle.path)
    for number in range(7):
        machine.task("octo_trust", instance="*", thumbprints=[f"{number:X}" * 40], restart=False)
        machine.time.time += 1
    copies = [name for name in machine.names("C:\\Octopus") if name.endswith(".bak")]
    assert len(copies) == 5
    assert before not in [machine.get(f"C:\\Octopus\\{name}") for name in copies]
    machine.task("octo_trust", **PRESENT, restart=False, backup_folder="E:\\Copies")
    assert len(machine.names("E:\\Copies")) == 1


def test_what_a_killed_run_left_is_swept(machine: Windows) -> None:
    machine.add("Tentacle", OLD)
    machine.put("C:\\Octopus\\Tentacle.config.octofleet-1-abc.new.tmp", b"half")
    machine.task("octo_trust", **PRESENT)
    assert not [name for name in machine.names("C:\\Octopus") if name.endswith(".tmp")]


def test_somebody_who_writes_between_the_look_and_the_write_loses_nothing(machine: Windows) -> None:
    tentacle = machine.add("Tentacle", OLD)

    def foreign(call: str) -> None:
        if call == "REPLACE":
            machine.put(tentacle.path, machine.get(tentacle.path).replace(trust_json(OLD).encode(), trust_json(OLD, FOREIGN).encode()))
        else:
            machine.before.append(foreign)

    machine.before.append(foreign)
    assert machine.row("octo_trust", **PRESENT)["ok"]
    assert tentacle.pins() == [OLD, FOREIGN, NEW]


def test_a_vendor_command_is_waited_for(machine: Windows) -> None:
    tentacle = machine.add("Tentacle", OLD)
    pid = machine.begin(f'"{EXECUTABLE}" configure --instance Tentacle --port 10934')
    machine.time.then = [lambda: None, lambda: machine.processes.pop(pid) and None]
    assert machine.row("octo_trust", **PRESENT)["ok"]
    assert tentacle.pins() == [OLD, NEW]
    assert machine.calls.count("REPLACE") == 1


def test_a_vendor_command_of_another_instance_is_not(machine: Windows) -> None:
    machine.add("Tentacle", OLD)
    machine.begin(f'"{EXECUTABLE}" configure --instance Other --trust X')
    assert machine.row("octo_trust", **PRESENT)["ok"]
    assert machine.calls.count("REPLACE") == 1


def test_a_process_that_may_not_be_looked_into_could_be_any_command(machine: Windows) -> None:
    machine.add("Tentacle", OLD)
    machine.begin("Tentacle.exe ?")
    row = machine.row("octo_trust", **PRESENT, lock_timeout=3.0)
    assert row["code"] == "IN_USE"
    assert "REPLACE" not in machine.calls


def test_a_vendor_command_that_starts_just_now_is_waited_for(machine: Windows) -> None:
    """It may have read already what it will write (measured-tentacle.md 14.4), so the replacement itself looks again."""
    tentacle = machine.add("Tentacle", OLD)

    def starts(call: str) -> None:
        if call == "REPLACE":
            pid = machine.begin(f'"{EXECUTABLE}" configure --instance=Tentacle --trust X')
            machine.time.then = [lambda: machine.processes.pop(pid) and None]
        else:
            machine.before.append(starts)

    machine.before.append(starts)
    assert machine.row("octo_trust", **PRESENT)["ok"]
    assert tentacle.pins() == [OLD, NEW]
    assert machine.calls.count("REPLACE") == 2


@pytest.mark.parametrize(("held", "ok"), [(2, True), (10_000, False)], ids=["for a while", "for ever"])
def test_a_file_that_somebody_keeps_to_himself(machine: Windows, held: int, ok: bool) -> None:
    machine.add("Tentacle", OLD)
    machine.held = held
    row = machine.row("octo_trust", **PRESENT, lock_timeout=2.0)
    assert row["ok"] == ok
    assert row["code"] == ("" if ok else "NOT_WRITTEN")
    assert ok or "another process holds its lock" in row["reason"]


def test_what_was_damaged_after_our_write_is_put_back_as_a_file(machine: Windows) -> None:
    """Whole bytes hold the encrypted key, so they never are a parameter."""
    tentacle = machine.add("Tentacle", OLD)
    replace = machine._replace

    def and_then_somebody_is_killed(parameters: Mapping[str, Any]) -> str:
        machine._replace = replace  # type: ignore[method-assign]
        answer = replace(parameters)
        machine.put(tentacle.path, b"")
        return answer

    machine._replace = and_then_somebody_is_killed  # type: ignore[method-assign]
    assert machine.row("octo_trust", **PRESENT)["ok"]
    assert tentacle.pins() == [OLD, NEW]
    assert machine.transferred == [machine.get(tentacle.path)]
    assert not [path for path in machine.files if "ansible-tmp" in path]


def test_our_own_lock_is_the_controllers(machine: Windows) -> None:
    """By machine and configuration, in whatever case it is written (decisions 29)."""
    tentacle = machine.add("Tentacle", OLD)
    host = _windows.WindowsHost(machine, _windows.HOME)
    with host.exclusively(tentacle.path.upper()):
        assert machine.row("octo_trust", **PRESENT, lock_timeout=0.0)["code"] == "IN_USE"
    with host.exclusively("C:\\Octopus\\Other.config"):
        assert machine.row("octo_trust", **PRESENT, lock_timeout=0.0)["ok"]


def test_what_another_run_wrote_while_we_waited_for_the_lock_is_seen(machine: Windows) -> None:
    tentacle = machine.add("Tentacle", OLD)
    looks: list[str] = []

    def meanwhile(call: str) -> None:
        looks.append(call)
        if len(looks) == 2:
            machine.put(tentacle.path, machine.get(tentacle.path).replace(trust_json(OLD).encode(), trust_json(OLD, NEW).encode()))
        machine.before.append(meanwhile)

    machine.before.append(meanwhile)
    row = machine.row("octo_trust", **PRESENT)
    assert row["before"] == row["after"]
    assert row["restarted"]


def test_the_vendors_own_verb(machine: Windows) -> None:
    tentacle = machine.add("Tentacle", OLD)

    def writes(_call: str) -> None:
        if any(module == "ansible.windows.win_command" for module, _args, _environment in machine.given) and tentacle.pins() == [OLD]:
            machine.put(tentacle.path, machine.get(tentacle.path).replace(trust_json(OLD).encode(), trust_json(OLD, NEW).encode()))
        machine.before.append(writes)

    machine.before.append(writes)
    assert machine.row("octo_trust", **PRESENT, writer="vendor")["ok"]
    ((args, environment),) = [(args, environment) for module, args, environment in machine.given if module == "ansible.windows.win_command"]
    assert args["argv"] == [EXECUTABLE, "configure", "--instance=Tentacle", f"--trust={NEW}", "--console"]  # octopus-server.md 6, 41
    assert environment == {}


def test_the_vendors_verb_is_told_of_another_home(machine: Windows) -> None:
    machine.put("E:\\Octo\\Tentacle\\Instances\\x.config", b'{"Name": "X", "ConfigurationFilePath": "E:\\\\x.config"}')
    machine.put("E:\\x.config", machine.get(machine.add("Tentacle", OLD).path))
    machine.row(
        "octo_trust", instance="X", thumbprints=[NEW], writer="vendor", machine_configuration_home="E:\\Octo", restart=False, lock_timeout=0.1
    )
    environments = [environment for module, _args, environment in machine.given if module == "ansible.windows.win_command"]
    assert environments == [{"TentacleMachineConfigurationHomeDirectory": "E:\\Octo"}] * len(environments) != []


def taken_for_utf8(text: str, encoding: str) -> str:
    """As win_command hands on what it does not recognize."""
    return text.encode(encoding).decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ({"rc": 0, "stdout": "one\r\ntwo\r\n", "stderr": ""}, (0, "one\ntwo\n", "")),
        ({"rc": 0, "stdout": "\ufeffone\r\n", "stderr": ""}, (0, "one\n", "")),  # UTF-16 whose mark win_command has understood
        ({"rc": 100, "stdout": "", "stderr": "\ufeffn\x00o\x00\r\x00\n\x00"}, (100, "", "no\n")),
        ({"rc": 1, "stdout": taken_for_utf8("Ошибка: no such file\r\n", "utf-16-le"), "stderr": ""}, (1, "Ошибка: no such file\n", "")),
        ({"rc": 1, "stdout": taken_for_utf8("Ошибка: no such file\r\n", "utf-16-be"), "stderr": ""}, (1, "Ошибка: no such file\n", "")),
        ({"rc": 1, "stdout": taken_for_utf8("Größe: 7\r\n", "utf-16-le"), "stderr": ""}, (1, "Gr\ufffd\ufffde: 7\n", "")),  # two letters are lost
        ({"rc": 0, "stdout": "7 \x00 größer\r\n", "stderr": ""}, (0, "7  größer\n", "")),
        ({"rc": 0, "stdout": "n\x00o\x00!", "stderr": ""}, (0, "no!", "")),
    ],
    ids=["CRLF", "mark", "marked UTF-16", "UTF-16", "big-endian UTF-16", "not UTF-8", "one NUL", "cut in the middle"],
)
def test_what_programs_print(machine: Windows, said: dict[str, Any], heard: tuple[int, str, str]) -> None:
    machine.said = said
    assert _windows.WindowsHost(machine, _windows.HOME).run(["Tentacle.exe", "version"], stdin=b"x") == heard
    assert machine.given[0][1] == {"argv": ["Tentacle.exe", "version"], "chdir": "C:\\", "stdin": "x"}


def test_a_program_that_does_not_start(machine: Windows) -> None:
    machine.said = {"rc": 2, "msg": "Failed to run: 'nope': The system cannot find the file specified"}
    with pytest.raises(OctoError, match="nope could not be started: Failed to run"):
        _windows.WindowsHost(machine, _windows.HOME).run(["nope"])


# -- services


def test_a_restart_is_proved_by_process_and_wire(machine: Windows) -> None:
    tentacle = machine.add("Tentacle", OLD)
    old = tentacle.pid
    proven = machine.row("octo_service", instance="*", state="restarted")["proven"]
    assert proven["pid"] == tentacle.pid != old
    assert proven["serving"] == _thumbprint.of_der(CERTIFICATE)
    (order,) = machine.parameters("ORDER")
    assert (order["Verb"], order["Name"]) == ("restart", "OctopusDeploy Tentacle")
    assert {(asked["Address"], asked["Port"]) for asked in machine.parameters("SERVED")} == {("127.0.0.1", PORT)}


@pytest.mark.parametrize(
    ("harm", "code"),
    [("ignored", "RESTART_INEFFECTIVE"), ("stopped", "NOT_RUNNING"), ("deaf", "NOT_SERVING"), ("other", "WRONG_CERTIFICATE")],
)
def test_a_restart_that_went_wrong_is_told(machine: Windows, harm: str, code: str) -> None:
    tentacle = machine.add("Tentacle", OLD)

    def obey(verb: str) -> str:
        if harm == "ignored":
            return "Access is denied"
        tentacle.obey(verb)
        if harm == "stopped":
            tentacle.stop()
        if harm == "deaf":
            machine.serving.clear()
        if harm == "other":
            machine.serving[PORT] = b"another"
        return ""

    tentacle.obeys = obey
    row = machine.row("octo_service", instance="*", state="restarted", timeout=5.0)
    assert (row["ok"], row["code"]) == (False, code)
    assert harm != "ignored" or "The service manager said: Access is denied" in row["reason"]


def test_a_polling_tentacle_has_no_endpoint(machine: Windows) -> None:
    tentacle = machine.add("Tentacle", trusted=f"[{POLLS}]")
    machine.put(
        tentacle.path,
        machine.get(tentacle.path).replace(b"NoListen", b"NoListen2").replace(b"</octo", b'<set key="Tentacle.Services.NoListen">true</set></octo'),
    )
    row = machine.row("octo_service", instance="*", state="restarted")
    assert row["ok"], row["reason"]
    assert row["proven"]["serving"] is None
    assert "SERVED" not in machine.calls


def test_a_tentacle_that_polls_gets_both_pins(machine: Windows) -> None:
    """A look for each question to its log, until it has met every Server that it polls (decisions 25)."""
    tentacle = machine.add("Tentacle", trusted=f"[{POLLS}]")
    machine.put(tentacle.path, machine.get(tentacle.path).replace(b"</octo", b'<set key="Tentacle.Services.NoListen">true</set></octo'))
    tentacle.servers = {"https://server:10943/": OLD}
    machine.time.then = [tentacle.meet]
    row = machine.row("octo_trust", **PRESENT, twin_of=OLD)
    assert row["ok"], row["reason"]
    assert tentacle.pins() == [OLD, NEW]
    assert [(poll["thumbprint"], poll["seen"]) for poll in row["polls"]] == [(OLD, ["started", "identified"]), (NEW, ["started", "armed"])]
    assert machine.calls == ["LOOK", "LOOK", "COPY", "REPLACE", "ORDER", "LOOK", "LOOK"]


def test_a_node_of_a_server(machine: Windows) -> None:
    machine.add("Tentacle", OLD)
    server = "C:\\Octopus.Server.exe"
    machine.services["OctopusDeploy"] = {"name": "OctopusDeploy", "state": "Running", "pid": machine.begin(server), "command": server}
    machine.services["OctopusDeploy"].update(account="LocalSystem", home="")
    machine.serving[10943] = CERTIFICATE
    task = {"application": "server", "service": "OctopusDeploy", "endpoint": "127.0.0.1:10943", "thumbprint": _thumbprint.of_der(CERTIFICATE)}
    assert not machine.row("octo_service", state="restarted_if_stale", **task)["changed"]


@pytest.mark.parametrize(
    ("instance", "service"),
    [({}, "OctopusDeploy"), ({"instance": "OctopusServer"}, "OctopusDeploy"), ({"instance": "Shop"}, "OctopusDeploy: Shop")],
    ids=["none", "default", "other"],
)
@pytest.mark.parametrize(("served", "code"), [(CERTIFICATE, ""), (b"another", "WRONG_CERTIFICATE")], ids=["new", "old"])
def test_a_node_is_restarted_and_proved_on_the_wire(machine: Windows, instance: dict[str, str], service: str, served: bytes, code: str) -> None:
    """Under the name that the vendor gives its service (octopus-server.md 1.1)."""
    command = '"C:\\Program Files\\Octopus Deploy\\Octopus\\Octopus.Server.exe" run'
    node = {"name": service, "state": "Running", "pid": machine.begin(command), "command": command, "account": "CORP\\octopus$", "home": ""}
    machine.services[service] = node
    before = node["pid"]

    def obey(verb: str) -> str:
        assert verb == "restart"
        machine.time.time += 20
        node["pid"] = machine.begin(command)
        machine.serving[10943] = served
        return ""

    machine.orders[service.lower()] = obey
    task = {"application": "server", "endpoint": "octopus-1:10943", "thumbprint": _thumbprint.of_der(CERTIFICATE), "timeout": 30.0, **instance}
    row = machine.row("octo_service", state="restarted", **task)
    assert (row["code"], row["instance"], row["service"]["user"]) == (code, service, "CORP\\octopus$")
    assert row["service"]["pid"] != before
    if not code:
        assert row["proven"]["serving"] == _thumbprint.of_der(CERTIFICATE)
        assert machine.calls == ["LOOK", "ORDER", "SERVED"]
    assert {(asked["Address"], asked["Port"]) for asked in machine.parameters("SERVED")} == {("octopus-1", 10943)}


def test_patience_is_that_of_windows(machine: Windows) -> None:
    """The vendor itself waits 45 s for a service (tentacle-cli.md 2.9)."""
    machine.add("Tentacle", OLD)
    machine.task("octo_service", instance="*", state="restarted")
    assert machine.parameters("ORDER")[0]["Seconds"] == 60 + 120
    assert manage.NODE_PATIENCE > 60


# -- the hand's own


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (r'"C:\Program Files\T.exe" run --instance="My Shop"', [r"C:\Program Files\T.exe", "run", "--instance=My Shop"]),
        (r"C:\T.exe  run	--config=C:\a\ ", [r"C:\T.exe", "run", "--config=C:\\a\\"]),
        (r'T.exe "C:\a b\\" "" \"x\\\"', ["T.exe", "C:\\a b\\", "", '"x\\"']),
        (r'T.exe "open', ["T.exe", "open"]),
        (r'dotnet "C:\x\Tentacle.dll" run', ["dotnet", r"C:\x\Tentacle.dll", "run"]),
        ("", []),
    ],
    ids=["quoted", "plain", "backslashes", "unfinished", "dotnet", "empty"],
)
def test_command_lines(line: str, words: list[str]) -> None:
    assert _windows.split_command_line(line) == words


def test_a_failing_text_is_quoted(machine: Windows) -> None:
    def failing(_call: str) -> None:
        raise OSError("the disk is on fire")

    machine._look = failing  # type: ignore[assignment, method-assign]
    with pytest.raises(OctoError, match="PowerShell on the host failed: the disk is on fire"):
        machine.task("octo_instance_info")


def test_who_is_no_administrator_is_told(machine: Windows) -> None:
    machine.elevated = False
    with pytest.raises(OctoError, match="Administrators"):
        machine.task("octo_instance_info")


def test_nothing_private_is_kept_there(machine: Windows) -> None:
    with pytest.raises(OctoError, match="no secrets of Tentacles on Windows"):
        _windows.WindowsHost(machine, _windows.HOME).private_folder()


def test_only_texts_that_look_run_in_check_mode() -> None:
    """win_powershell skips a text without SupportsShouldProcess then."""
    for name in ("LOOK", "SERVED", "ORDER", "REPLACE", "COPY", "REMOVE"):
        assert getattr(_windows_scripts, name).startswith("[CmdletBinding(SupportsShouldProcess = $true)]") == (name in READS), name


@pytest.mark.parametrize("name", ["LOOK", "SERVED", "ORDER", "REPLACE", "COPY", "REMOVE"])
def test_no_text_overwrites_what_it_was_given(name: str) -> None:
    """Names of variables ignore case, so that a local one may be a parameter by accident; and every bracket has its partner."""
    text = getattr(_windows_scripts, name)
    assigned = {found.lower() for found in re.findall(r"(?:foreach \()?\$(\w+)(?: in | \+?= )", text[text.index("\n)\n") :])}
    shared = {"index", "files", "folders", "services", "logfolders", "logs", "known", "sha256", "suffix", "verb", "address", "port", "seconds"}
    assert assigned & shared == set()
    assert {"seen", "answer", "folder"} <= assigned
    bare = re.sub(r"'[^'\n]*'|\"[^\"\n]*\"|#[^\n]*", "", text)
    assert [bare.count(one) for one in "({["] == [bare.count(one) for one in ")}]"]
