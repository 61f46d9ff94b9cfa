# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fleets: what is there when they are up, and that nothing is there when they are down, however they went."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab.fleet import supervision
from lab.fleet.builder import Fleet
from lab.fleet.processes import birth
from lab.fleet.quirks import KNOWN_QUIRKS, UnknownQuirk
from lab.fleet.spec import FleetSpec
from lab.fleet.supervision import TESTS
from lab.tentacle.trust import Style
from lab.waiting import until


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    quirks = ("lower_case_pin:web-02", "second_instance:web-03", "unmanaged_record:web-99", "two_names:web-01", "kubernetes_record:k8s-prod")
    more = ("hidden_space_record:web-03", "symlinked_configuration:web-01", "non_default_port:web-02", "unreachable_host:web-02")
    with Fleet(FleetSpec(tentacles=3, polling=1, nodes=2, spaces=("Default", "Finance"), foreign=1, quirks=quirks + more)) as up:
        yield up


def rest(fleet: Fleet, path: str, node: int = 0) -> Any:
    request = urllib.request.Request(fleet.server.nodes[node].url + path, headers={"X-Octopus-ApiKey": fleet.server.api_key})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def test_every_process_is_its_own_and_shows_what_it_runs(fleet: Fleet) -> None:
    pids = {fleet.unit(each.host, each.instance).pid for each in fleet.tentacles} | {fleet.unit(node.name).pid for node in fleet.server.nodes}
    assert len(pids) == 8
    assert 0 not in pids
    words = Path(f"/proc/{fleet.unit('web-01').pid}/cmdline").read_bytes().decode().split("\0")
    assert words[-4:-1] == ["run", "--instance=Tentacle-web-01", "--noninteractive"]
    assert words[-5].endswith("/lab/bin/Tentacle")
    assert f"OCTOLAB={fleet.root}" in Path(f"/proc/{fleet.unit('web-01').pid}/environ").read_text().split("\0")


def test_the_vendors_command_line_works_on_each_host(fleet: Fleet) -> None:
    shown = fleet.run(["Tentacle", "show-thumbprint", "--instance=Tentacle-web-03"], host="web-03")
    assert (shown.returncode, shown.stdout) == (0, fleet.tentacle("web-03").thumbprint)
    assert fleet.run(["Tentacle", "list-instances"], host="web-03").stdout.count("Instance '") == 2
    server = fleet.run(["Octopus.Server", "show-thumbprint", "--instance=OctopusServer"], host="node-2")
    assert fleet.server.certificate.thumbprint in server.stdout
    restarted = fleet.run(["Tentacle", "service", "--restart", "--instance=Second-web-03"], host="web-03")
    assert "Service has been restarted" in restarted.stdout


def test_the_inventory_says_where_everything_is(fleet: Fleet) -> None:
    groups = yaml.safe_load(fleet.inventory.read_text())["all"]
    tentacles = groups["children"]["octopus_tentacles"]["hosts"]
    assert sorted(tentacles) == ["poll-01", "web-01", "web-01-alias", "web-02", "web-03"]
    assert Path(tentacles["web-01"]["octopus_machine_id_file"]).read_text().strip()
    assert tentacles["web-01-alias"] == tentacles["web-01"]
    assert groups["vars"]["octopus_spaces"] == ["Default", "Finance"]
    nodes = groups["children"]["octopus_server"]["hosts"]
    assert [host["octopus_node_name"] for host in nodes.values()] == ["node-1", "node-2"]


def test_the_records_are_where_the_key_sees_them_or_not(fleet: Fleet) -> None:
    spaces = {space["Name"]: space["Id"] for space in rest(fleet, "/api/spaces/all")}
    assert sorted(spaces) == ["Default", "Finance"]
    machines = {each["Name"]: each for space in spaces.values() for each in rest(fleet, f"/api/{space}/machines/all", node=1)}
    assert sorted(machines) == ["Second-web-03", "k8s-prod", "poll-01", "web-01", "web-02", "web-99"]
    tentacle = fleet.tentacle("web-02")
    assert tentacle.port != fleet.tentacle("web-01").port
    assert machines["web-02"]["Endpoint"]["Uri"] == f"https://{tentacle.address}:{tentacle.port}/"
    assert machines["poll-01"]["Endpoint"]["CommunicationStyle"] == "TentacleActive"


def test_trust_is_as_the_quirks_want_it(fleet: Fleet) -> None:
    main = fleet.server.certificate.thumbprint
    assert [entry.thumbprint for entry in fleet.trust("web-02")] == [main.lower()]
    assert [entry.thumbprint for entry in fleet.trust("web-01")] == [main, fleet.foreign_server.certificate.thumbprint]
    assert [entry.style for entry in fleet.trust("poll-01")] == [Style.TentacleActive, Style.TentacleActive]
    assert fleet.paths("web-01").configuration.is_symlink()


def test_the_stand_ins_note_their_starts(fleet: Fleet) -> None:
    fleet.run(["systemctl", "is-active", "Tentacle-web-01"])
    notes = [json.loads(line) for line in (fleet.root / "records" / "argv.jsonl").read_text().splitlines()]
    assert {"Tentacle", "Octopus.Server", "systemctl"} <= {note["program"] for note in notes}


def test_ansible_reaches_the_hosts_but_the_one_that_it_must_not(fleet: Fleet) -> None:
    argv = [str(Path(sys.executable).parent / "ansible"), "octopus_tentacles", "-m", "ansible.builtin.raw", "-a", "true"]
    done = subprocess.run(argv, env=fleet.env, capture_output=True, text=True, check=False)
    verdicts = {line.split(" | ")[0]: line.split(" | ")[1].split()[0].rstrip("!") for line in done.stdout.splitlines() if " | " in line}
    assert verdicts.pop("web-02") == "UNREACHABLE"
    assert set(verdicts.values()) == {"CHANGED"}


def test_no_start_left_an_error_in_a_log(fleet: Fleet) -> None:
    texts = {each["id"]: Path(each["log"]).read_text() for each in fleet.description["tentacles"]}
    # A polling entry that meets a node before it listens may say so; whoever listens has nothing to say.
    assert [name for name, text in texts.items() if " ERROR " in text and not name.startswith("poll")] == []


def test_quirks_that_happen_to_a_running_fleet() -> None:
    quirks = ("torn_configuration:web-01", "missing_certificate:web-02", "restart_pending:web-03", "stopped_service:web-04", "busy:web-02")
    with Fleet(FleetSpec(tentacles=4, quirks=(*quirks, "other_machine_id:web-03", "open_door:web-04", "delete_policy:web-04"))) as fleet:
        assert fleet.paths("web-01").configuration.stat().st_size == 1500
        assert 'key="Tentacle.Certificate"' not in fleet.paths("web-02").configuration.read_text()
        assert 'key="Tentacle.CertificateThumbprint"' in fleet.paths("web-02").configuration.read_text()
        assert len(fleet.trust("web-03")) == 2
        assert [fleet.unit(f"web-0{number}").active for number in (1, 2, 3, 4)] == [True, True, True, False]
        assert fleet.run(["Tentacle", "show-thumbprint", "--instance=Tentacle-web-03"], host="web-03").returncode == 100
        running = [task for task in rest(fleet, "/api/tasks")["Items"] if task["State"] == "Executing"]
        assert [task["Name"] for task in running] == ["Deploy"]
        fleet.finish_tasks()
        assert [task for task in rest(fleet, "/api/tasks")["Items"] if task["State"] == "Executing"] == []


def test_every_other_quirk_leaves_a_fleet_that_comes_up() -> None:
    first = ("websocket_entry:web-01", "duplicate_entry:web-01", "unknown_key_in_configuration:web-01", "disabled_record:web-01", "worker:web-02")
    second = ("second_record:web-02", "skip_policy:web-02", "foreign_server:web-02", "polling:web-03", "unrecorded_tentacle:web-04")
    third = ("foreign_store_owner:web-04", "restart_without_effect:web-04", "missing_thumbprint:web-05", "upgrade_policy:web-05")
    with Fleet(FleetSpec(tentacles=5, spaces=("Default", "Finance"), quirks=(*first, *second, *third, "cloned_certificate:web-05"))) as fleet:
        main = fleet.server.certificate.thumbprint
        web = [entry for entry in fleet.trust("web-01") if entry.thumbprint != main]
        assert [(entry.style, entry.uri[:6]) for entry in web] == [(Style.TentacleActive, "wss://")]
        assert [entry.thumbprint for entry in fleet.trust("web-01")].count(main) == 2
        assert 'key="Octopus.Something.Unknown">42<' in fleet.paths("web-01").configuration.read_text()
        assert [each["Name"] for each in rest(fleet, "/api/Spaces-1/workers/all")] == ["web-02"]
        machines = {each["Name"]: each for space in ("Spaces-1", "Spaces-2") for each in rest(fleet, f"/api/{space}/machines/all")}
        assert sorted(machines) == ["web-01", "web-03", "web-05"]
        assert machines["web-01"]["IsDisabled"] is True
        assert machines["web-05"]["Endpoint"]["Thumbprint"] == fleet.tentacle("web-01").thumbprint
        policy = rest(fleet, f"/api/{machines['web-05']['SpaceId']}/machinepolicies/{machines['web-05']['MachinePolicyId']}")
        assert policy["MachineUpdatePolicy"]["TentacleUpdateBehavior"] == "Update"
        before = fleet.unit("web-04").pid
        assert fleet.run(["systemctl", "restart", "Tentacle-web-04"]).returncode == 0
        assert fleet.unit("web-04").pid == before
        assert fleet.run(["Tentacle", "show-thumbprint", "--instance=Tentacle-web-04"], host="web-04").returncode == 100
        assert [edge["style"] for edge in fleet.edges if edge["host"] == "web-03"] == ["polling"]


def test_a_server_in_a_container_is_reached_by_exec_and_cp_only(tmp_path: Path) -> None:
    with Fleet(FleetSpec(tentacles=1, container=True)) as fleet:
        groups = yaml.safe_load(fleet.inventory.read_text())["all"]["children"]
        node = groups["octopus_server"]["hosts"]["node-1"]
        server, common = node["octopus_server_executable"], ["--instance=OctopusServer", "--pfx-password=marker"]
        exported = fleet.run([*server, "export-certificate", "--export-pfx=/tmp/out.pfx", *common])
        assert exported.returncode == 0
        assert "The certificate has been written to /tmp/out.pfx." in exported.stdout
        assert not Path("/tmp/out.pfx").exists()
        copied = [word.format(src="/tmp/out.pfx", dest=str(tmp_path / "out.pfx")) for word in node["octopus_server_copy_out"]]
        assert fleet.run(copied).returncode == 0
        assert (tmp_path / "out.pfx").stat().st_size > 1000
        back = [word.format(src=str(tmp_path / "out.pfx"), dest="/tmp/in.pfx") for word in node["octopus_server_copy_in"]]
        assert fleet.run(back).returncode == 0
        assert fleet.run([*server, "import-certificate", "--from-file=/tmp/in.pfx", *common]).returncode == 0
        before = fleet.unit("node-1").pid
        assert fleet.run(node["octopus_server_restart"]).stdout == "octopus-1\n"
        assert fleet.unit("node-1").pid != before
        engine = node["octopus_server_restart"][0]
        assert fleet.run([engine, "inspect", "--format", "{{.State.Running}}", "octopus-1"]).stdout == "true\n"
        assert fleet.run([engine, "exec", "nobody", "true"]).stderr == "Error response from daemon: No such container: nobody\n"
        assert fleet.run([engine, "exec", "octopus-1", "rm", "-f", "/tmp/in.pfx"]).returncode == 0
        assert fleet.run([engine, "cp", "octopus-1:/tmp/in.pfx", str(tmp_path)]).returncode == 1


def test_a_tentacle_that_is_only_known_by_its_argv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the stand-in in a path with a space, in the place of a real one (OCTO_TENTACLE)."""
    elsewhere = tmp_path / "a real one"
    shutil.copytree(TESTS / "lab", elsewhere / "tests" / "lab", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("OCTO_TENTACLE", shlex.join([sys.executable, str(elsewhere / "tests" / "lab" / "bin" / "Tentacle")]))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with Fleet(FleetSpec(tentacles=2, polling=1, foreign=1, quirks=("cloned_certificate:web-02", "lower_case_pin:web-02"))) as fleet:
        assert str(elsewhere) in Path(f"/proc/{fleet.unit('web-01').pid}/cmdline").read_text()
        assert fleet.tentacle("web-01").thumbprint == fleet.tentacle("web-02").thumbprint
        shown = fleet.run(["Tentacle", "show-thumbprint", "--instance=Tentacle-web-02"], host="web-02")
        assert shown.stdout == fleet.tentacle("web-01").thumbprint
        fleet.start_witness()
        assert fleet.stop_witness().ok


def builder(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    return subprocess.Popen([sys.executable, "-m", "lab.fleet", "up", *arguments], env=environment, stdout=subprocess.PIPE, text=True)


def living(root: Path) -> list[int]:
    """Processes whose command line or environment names the fleet."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if str(root).encode() in words and birth(int(process.name)) is not None:
            found.append(int(process.name))
    return found


@pytest.mark.parametrize("victims", [("builder",), ("supervisor",), ("builder", "supervisor")])
def test_nothing_is_left_after_kill_9(victims: tuple[str, ...]) -> None:
    process = builder("--tentacles", "2", "--print")
    assert process.stdout is not None
    root = Path(json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")["root"])
    supervisor = int((root / "run" / "supervisor.pid").read_text())
    assert len(living(root)) >= 4
    for victim in victims:
        os.kill(process.pid if victim == "builder" else supervisor, signal.SIGKILL)
    if victims == ("supervisor",):
        process.terminate()
    process.wait(10)
    process.stdout.close()
    until(lambda: living(root) == [], 10, what="the end of every process of the fleet")
    if victims == ("builder", "supervisor"):
        assert root in supervision.sweep(Path(tempfile.gettempdir()))
    until(lambda: not root.exists(), 10, what="the end of the fleet's folder")


def test_a_fleet_that_cannot_come_up_leaves_nothing(tmp_path: Path) -> None:
    root = tmp_path / "fleet"
    with pytest.raises(LookupError, match=r"no host 'web-09'; it has web-01"):
        Fleet(FleetSpec(tentacles=1, quirks=("stopped_service:web-09",), root=root)).up()
    with pytest.raises(UnknownQuirk, match="lower_case_pin"):
        Fleet(FleetSpec(tentacles=1, quirks=("no_such_quirk:web-01",), root=root)).up()
    assert not root.exists()
    assert len(KNOWN_QUIRKS) > 25


def test_somebody_elses_folder_is_never_taken(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(FileExistsError, match="neither empty nor"):
        Fleet(FleetSpec(tentacles=1, root=tmp_path)).up()
    assert (tmp_path / "mine").read_text() == "precious"
