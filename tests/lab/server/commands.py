# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of Octopus.Server that a rotation touches (octopus-server.md 1.3 and 1.4)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lab.server.host import RESTART, Call, Command
from lab.tentacle.errors import Controlled, Failure

if TYPE_CHECKING:
    from lab.server.database import Database
    from lab.wire.certificates import Keypair

_CERTIFICATE_TYPE = "type="
_SKIP = ("skipDatabaseCompatibilityCheck", "skipDatabaseSchemaUpgradeCheck")
_SUBJECT = "CN=Octopus Portal"


def _tentacle_certificate(call: Call) -> None:
    """Since 2025.4 there are two; this stand-in has the one for Tentacles, which is also the default."""
    wanted = call.options.get("type", "tentacle").lower()
    if wanted != "tentacle":
        raise Controlled(f"The certificate type '{wanted}' is not supported. Try tentacle.")


def export_certificate(call: Call) -> None:
    from lab.server.pfx import unreadable_key
    from lab.tentacle.keys import Certificate

    _tentacle_certificate(call)
    if not call.options.get("export-pfx"):
        raise Controlled("Please specify the file to export the certificate to: --export-pfx=FILE")
    database = call.database()
    if call.fault("export_fails"):
        raise Failure("Timeout expired. The timeout period elapsed prior to completion of the operation.", "SqlException")
    keypair = database.keypair()
    call.say("Exporting certificate...")
    readable = not call.fault("unelevated")
    for line in () if readable else unreadable_key(keypair.der):
        call.say(line)
    exported = Certificate(keypair.der, keypair.key_pem if readable else None)
    call.path("export-pfx").write_bytes(exported.to_pfx(call.options.get("pfx-password")))
    call.say(f"The certificate has been written to {call.options['export-pfx']}.")


def new_certificate(call: Call) -> None:
    """With --export-pfx the active certificate is left alone; --replace swaps it at once."""
    from lab.server.database import SUBJECT
    from lab.wire.certificates import make_certificate, to_pfx

    _tentacle_certificate(call)
    target, replace = call.options.get("export-pfx"), "replace" in call.options
    if bool(target) == replace:
        raise Controlled("Please specify either --replace or --export-pfx=FILE, not both.")
    database = call.database()
    call.say("Generating certificate...")
    call.say("The Octopus Server currently uses a certificate with thumbprint:")
    call.say(database.certificate().thumbprint)
    made = make_certificate(SUBJECT)
    if target:
        call.path("export-pfx").write_bytes(to_pfx(made, call.options.get("pfx-password")))
    else:
        database.install_certificate(made)
    call.say("A new certificate has been generated with thumbprint:")
    call.say(made.thumbprint)
    call.say(f"The new certificate has been written to {target}." if target else RESTART)


def import_certificate(call: Call) -> None:
    from lab.server.pfx import certificate_of

    _tentacle_certificate(call)
    if not call.options.get("from-file"):
        raise Controlled("Please specify the certificate to import.")
    path = call.path("from-file")
    if not path.is_file():
        raise Controlled(f"Certificate '{call.options['from-file']}' was not found.")
    given = certificate_of(path, call.options.get("pfx-password"), call.say, call.quirk)
    database = call.database()
    old = database.certificate().thumbprint
    _install(call, database, given)
    call.say(f"The certificate {_SUBJECT} was updated; old thumbprint = {old}, new thumbprint = {given.thumbprint}")
    call.say("Certificate imported successfully.")
    call.say(RESTART)


def _install(call: Call, database: Database, given: Keypair) -> None:
    """Into the database, but for the faults that a rotation has to notice by reading back (design/decisions.md 11)."""
    from lab.server.database import SUBJECT
    from lab.wire.certificates import make_certificate

    lost = Failure("A transport-level error has occurred when receiving results from the server.", "SqlException")
    crash = call.fault("import_crashes")
    if crash == "before":
        raise lost
    if not call.fault("import_no_effect"):
        third = call.fault("import_third") in (True, given.thumbprint)
        database.install_certificate(make_certificate(SUBJECT) if third else given)
    if crash == "after":
        raise lost


def show_thumbprint(call: Call) -> None:
    thumbprint = _quietly(call).certificate().thumbprint
    wanted = call.options.get("format", "text").lower()
    if wanted not in ("text", "json"):
        raise Controlled(f"The format '{wanted}' is not supported. Try text or json.")
    if "export-file" in call.options:
        call.path("export-file").write_text(thumbprint, encoding="ascii")
    else:
        newline = "" if call.quirk("thumbprint_without_newline") else "\n"
        text = json.dumps({"Thumbprint": thumbprint}, separators=(",", ":")) if wanted == "json" else thumbprint
        call.world.stdout.write(text + newline)


def _quietly(call: Call) -> Database:
    """The database for a command that keeps log lines off its stdout."""
    from lab.server.database import Database

    return Database(call.instance.database, call.instance.master_key_file)


def node(call: Call) -> int:
    """Drain switch and task cap of this node (1.3); --wait and --cancel-tasks belong to --drain=true."""
    from lab.server.tasks import RUNNING, Tasks

    drain = call.options.get("drain")
    if drain is not None and drain.lower() not in ("true", "false"):
        raise Failure(f"String '{drain}' was not recognized as a valid Boolean.", "System.FormatException")
    draining = None if drain is None else drain.lower() == "true"
    if not draining and ("wait" in call.options or "cancel-tasks" in call.options):
        raise Controlled("--wait and --cancel-tasks can only be used with --drain=true")
    cap, wait = _number(call, "taskCap"), _number(call, "wait") or 0
    database, name = call.database(), call.instance.node_name
    if database.node(name) is None:
        database.put_node(name)
    database.put_node_option(name, draining=draining, task_cap=cap)
    if cap is not None:
        call.say(f"Node {name}: task cap set to {cap}")
    if draining is None:
        return 0
    call.say(f"Node {name}: {'draining tasks' if draining else 'no longer draining tasks'}")
    tasks = Tasks(database)
    # Deadline and pace by the world's clock and sleep, so that a test needs to wait for neither.
    deadline = call.world.clock() + wait
    while draining and tasks.find(states=RUNNING, node=name) and call.world.clock() < deadline:
        call.world.sleep(min(0.1, wait))
    left = tasks.find(states=RUNNING, node=name) if draining else []
    if left and "cancel-tasks" in call.options:
        for task in left:
            tasks.cancel(task.id)
            call.say(f"Node {name}: cancelled {task.id}")
    elif left:
        call.say(f"Node {name}: {len(left)} tasks are still running")
    return 0


def _number(call: Call, option: str) -> int | None:
    text = call.options.get(option)
    try:
        return None if text is None else int(text)
    except ValueError as error:
        raise Failure(f"The input string '{text}' was not in a correct format.", "System.FormatException") from error


def list_instances(call: Call) -> None:
    from lab.server.instance import registered

    known = registered(call.world.settings)
    if call.options.get("format", "text").lower() == "json":
        rows = [{"InstanceName": name, "ConfigurationFilePath": str(path)} for name, path in known.items()]
        call.world.stdout.write(json.dumps(rows, indent=2))
        return
    for name, path in known.items():
        call.say(f"Instance '{name}' uses configuration '{path}'.")
    if not known:
        call.world.stdout.write("No instances installed")


def version(call: Call) -> None:
    number = "2026.3.1234"
    if call.options.get("format", "text").lower() != "json":
        call.world.stdout.write(number)
        return
    keys = {"InformationalVersion": number, "MajorMinorPatch": number, "NuGetVersion": number, "SourceBranchName": None, "IsPrerelease": False}
    call.world.stdout.write(json.dumps(keys, indent=2))


def create_instance(call: Call) -> None:
    from lab.server.instance import APPLICATION, create

    name = call.options.get("instance") or APPLICATION
    configuration = call.path("config") if call.options.get("config") else call.world.settings.home / f"{name}.config"
    home = call.path("home") if call.options.get("home") else configuration.parent
    exists = configuration.exists()
    call.say(f"Configuration file at {configuration} already exists." if exists else f"Creating empty configuration file: {configuration}")
    call.say(f"Saving instance: {name}")
    call.say(f"Setting home directory to: {home}")
    settings = call.world.settings
    create(settings.machine_configuration_home, name, configuration, home=home, node_name=call.options.get("serverNodeName"), settings=settings)


def service(call: Call) -> None:
    from lab.server.service import Services

    everything = call.options.get("instance") == "*"
    if everything and not {"start", "stop", "restart"} & call.options.keys():
        raise Controlled("--instance=* can only be used for --start, --stop, and --restart flags")
    Services(call).run(everything)


def run(call: Call) -> int:
    from lab.server.node import run_node

    return run_node(call)


COMMANDS = {
    "export-certificate": Command(("export-pfx=", "pfx-password=", _CERTIFICATE_TYPE), export_certificate),
    "new-certificate": Command(("replace", "export-pfx=", "pfx-password=", _CERTIFICATE_TYPE, *_SKIP), new_certificate),
    "import-certificate": Command(("f|from-file=", "pw|pfx-password=", _CERTIFICATE_TYPE, *_SKIP), import_certificate),
    "show-thumbprint": Command(("e|export-file=", "format="), show_thumbprint),
    "service": Command(
        ("start", "stop", "restart", "reconfigure", "install", "uninstall", "user|username=", "password=", "dependOn="), service, ("instance=",)
    ),
    "node": Command(("taskCap=", "drain=", "wait=", "cancel-tasks", *_SKIP), node),
    "list-instances": Command(("format=",), list_instances, ()),
    "version": Command(("format=",), version, ()),
    "create-instance": Command(("home=", "serverNodeName="), create_instance),
    "run": Command(("customextension=", *_SKIP), run),
}
