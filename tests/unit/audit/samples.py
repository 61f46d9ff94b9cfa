# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Audit documents that look like a real estate's, of any size, and the same ones each time.

They are made up here rather than by the audit's own code: who tests a report should not need the judge, and 5,000 Tentacles cost a second.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

SOURCES = ("wire", "disk", "database", "process")
ORDER = ("critical", "warning", "info")


class Code(NamedTuple):
    """A code of the table, with the two sentences that a finding of it says."""

    severity: str
    title: str
    needs: tuple[str, ...]
    seen: str
    remedy: str


_ADD = "`ansible-playbook octofleet.octopus.trust_server_certificate -e octopus_thumbprint={ours} --limit {host}`"
CODES: dict[str, Code] = {
    "LOCKED_OUT": Code(
        "critical",
        "A node is not accepted by the running Tentacle",
        ("wire",),
        "node-2 presents {other}, which the running Tentacle refused; it accepts {ours}.",
        f"Let it trust what the node presents: {_ADD}.",
    ),
    "LOCKED_OUT_AFTER_RESTART": Code(
        "critical",
        "A node will not be accepted after the next restart",
        ("disk",),
        "On disk is no entry for {ours}, which this Server presents; the running process still has one.",
        f"Do not restart it before the entry is there: {_ADD}.",
    ),
    "UNCHECKED_TRUST": Code(
        "critical",
        "Anybody is let in",
        ("wire",),
        "A random certificate made for this audit, {other}, was accepted just as {ours} is.",
        "Take the endpoint off the network until it runs a Tentacle that checks: `Tentacle service --instance {instance} --stop` on {host}.",
    ),
    "OLD_KEY_IN_USE": Code(
        "critical",
        "A retired Server certificate was presented",
        ("wire",),
        "node-2 presented {other}, which was retired on 2026-03-02.",
        "Restart the node and probe it again: `ansible-playbook octofleet.octopus.audit_trust --limit octopus_server`.",
    ),
    "SHARED_PIN": Code(
        "critical",
        "Two Servers present one certificate",
        ("wire",),
        "{other} is presented by dr and by this Server.",
        "Give one of them a certificate of its own: `ansible-playbook octofleet.octopus.rotate_server_certificate -e octopus_retire={other}`.",
    ),
    "TWIN_CERT": Code(
        "critical",
        "Two Tentacles present one certificate",
        ("wire",),
        "{id} and its clone both present {own}; the Server cannot tell them apart.",
        "Give the clone a certificate of its own: `Tentacle new-certificate --instance {instance}` on {host}, then update its record.",
    ),
    "STALE_RECORD": Code(
        "critical",
        "The record does not match the Tentacle",
        ("wire", "database"),
        "The record {record} says {other}, the Tentacle presents {own}.",
        "Put the new thumbprint into the record: `octo_machine_info` names it, PUT /api/machines/{record} sets it.",
    ),
    "IDENTITY_AT_RISK": Code(
        "critical",
        "The next restart makes a new identity",
        ("disk",),
        "Tentacle.Certificate is missing from the configuration of {instance}; the running process still presents {own}.",
        "Import the certificate before anybody restarts it: `Tentacle import-certificate --instance {instance} --from-file backup.pfx` on {host}.",
    ),
    "KEY_EXPOSED": Code(
        "warning",
        "Any local user can read the private key",
        ("disk",),
        "The configuration is readable by others (0644) on {count} hosts, as a default installation leaves it.",
        "Take the right away: `ansible octopus_tentacles -b -m file -a 'path=/etc/octopus mode=o-rwx recurse=true'`.",
    ),
    "RESTART_PENDING": Code(
        "warning",
        "The process is older than its configuration",
        ("disk", "process"),
        "The process started 2026-03-01 11:02, the configuration was changed at 11:04 and now also has {other}.",
        "Restart it when it is idle: `ansible {host} -m octofleet.octopus.octo_service -a 'instance={instance} state=restarted_if_stale'`.",
    ),
    "GHOST_PIN": Code(
        "warning",
        "A key is trusted that no known Server presents",
        ("disk", "wire"),
        "{other} is trusted and is presented by none of the known Servers (this Server, dr).",
        "If nobody claims it, remove it: `ansible-playbook octofleet.octopus.forget_thumbprint -e octopus_thumbprint={other} --limit {host}`.",
    ),
    "MISSING_NODE": Code(
        "warning",
        "A polling Tentacle does not know a node",
        ("disk",),
        "It polls node-1 only; this Server also has node-2.",
        "Let it poll both: `Tentacle poll-server --instance {instance} --server https://node-2:10943` on {host}.",
    ),
    "DUPLICATE_ENTRY": Code(
        "warning",
        "One thumbprint is listed twice",
        ("disk",),
        "{ours} is listed twice in one place; the vendor's tool fails on it later.",
        f"Write the list anew: {_ADD}.",
    ),
    "NON_CANONICAL": Code(
        "warning",
        "A pin is spelled so that it never matches",
        ("disk",),
        "The pin of this Server is spelled in lower case; a polling Tentacle compares letter by letter.",
        f"Spell it as the Server does: {_ADD}.",
    ),
    "BLANK_PIN": Code(
        "warning",
        "An entry has no thumbprint",
        ("disk",),
        "One of the trusted Servers has an empty thumbprint.",
        f"Write the list anew: {_ADD}.",
    ),
    "WEAK_CERT": Code(
        "warning",
        "SHA-1 signature or short key",
        ("wire",),
        "{own} is signed with sha1RSA, which current Servers refuse.",
        "Make it a new one in a quiet hour: `Tentacle new-certificate --instance {instance}` on {host}, then update its record.",
    ),
    "RECORD_UNHEALTHY": Code(
        "warning",
        "The Server says it is not healthy",
        ("database",),
        "The last health check of {record} ended Unavailable on 2026-11-21 23:10.",
        "Check it now: `ansible-playbook octofleet.octopus.check_health --limit {host}`.",
    ),
    "ORPHAN_TENTACLE": Code(
        "warning",
        "In no Server record",
        ("disk", "database"),
        "{id} runs and presents {own}; no record of this Server has it.",
        "Register it or uninstall it: `Tentacle register-with --instance {instance} --server ...` on {host}.",
    ),
    "UNMANAGED_TENTACLE": Code(
        "warning",
        "On no host of the inventory",
        ("disk", "database"),
        "The record {record} is on no host of the inventory.",
        "Add its host to the group octopus_tentacles, or delete the record in the portal.",
    ),
    "UNREACHABLE": Code(
        "warning",
        "A source could not be read",
        (),
        "The wire could not be read: {reason}.",
        "Find out who answers there: `openssl s_client -connect {endpoint}`.",
    ),
    "DELETION_RISK": Code(
        "warning",
        "Unavailable machines are deleted too soon",
        ("database",),
        "The machine policy Default deletes unavailable machines after 20 minutes; a rotation may take 45.",
        "Set the policy Default to never delete machines before a rotation (Infrastructure, Machine Policies).",
    ),
    "KEY_COPIES": Code(
        "info",
        "Old private keys are left in the store",
        ("disk",),
        "7 certificates with a key are left in the store of the service account on {host}.",
        "Remove those that are not in use: `ansible {host} -m octofleet.octopus.octo_instance_info` names the one that is.",
    ),
    "RECORD_DISABLED": Code(
        "info",
        "The Server does not use it",
        ("database",),
        "The record {record} is disabled.",
        "Enable it in the portal, or delete it when it is gone for good.",
    ),
    "SEVERAL_RECORDS": Code(
        "info",
        "One Tentacle, several records",
        ("database",),
        "{record} and one more record point to {endpoint}.",
        "Nothing must be done; a change of its certificate has to reach all of them.",
    ),
    "WSS_PIN": Code("info", "A WebSocket pin", ("disk",), "{other} is pinned for wss.", "Renew it together with the web certificate."),
    "NOT_COVERED": Code(
        "info",
        "Listed, not judged",
        ("database",),
        "{record} is a Kubernetes agent; what it pins is in its Helm values.",
        "Read the guide Kubernetes agents before a rotation.",
    ),
    "NOT_SWITCHABLE": Code(
        "info",
        "A rotation could not expand it today",
        (),
        "{id} is busy with ServerTasks-4711 or could not be read.",
        "Run the plan again when it is idle: `ansible-playbook octofleet.octopus.rotate_server_certificate`.",
    ),
}
# What a Tentacle is given, and how often; what is not here belongs to Servers, policies or the whole fleet.
_WEIGHTS = {
    "LOCKED_OUT": 2,
    "LOCKED_OUT_AFTER_RESTART": 4,
    "UNCHECKED_TRUST": 1,
    "TWIN_CERT": 2,
    "STALE_RECORD": 5,
    "IDENTITY_AT_RISK": 2,
    "RESTART_PENDING": 14,
    "GHOST_PIN": 22,
    "MISSING_NODE": 6,
    "DUPLICATE_ENTRY": 3,
    "NON_CANONICAL": 4,
    "BLANK_PIN": 2,
    "WEAK_CERT": 25,
    "RECORD_UNHEALTHY": 10,
    "ORPHAN_TENTACLE": 4,
    "UNMANAGED_TENTACLE": 6,
    "KEY_COPIES": 30,
    "RECORD_DISABLED": 8,
    "SEVERAL_RECORDS": 12,
    "WSS_PIN": 3,
    "NOT_SWITCHABLE": 7,
}
_ROLES = ("web", "app", "db", "batch", "cache", "queue", "api", "jump")
_REASONS = (
    "connection refused",
    "no answer within 5 s",
    "what answered does not speak TLS",
    "the name is not in the DNS",
    "SSH: permission denied (publickey)",
)
_SAID = {
    "trusted": ("yes", "yes", "yes"),
    "not_trusted": ("no", "no", "no"),
    "pending": ("no", "yes", "no"),
    "disagree": ("no", "yes", "yes"),
    "not_read": ("not_read", "not_read", "not_read"),
}


def thumbprint(name: str) -> str:
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest().upper()


def document(
    tentacles: int = 60, certificates: int = 6, findings: int | None = None, since: bool = True, asked: tuple[str, ...] = SOURCES
) -> dict[str, Any]:
    """An audit of so many Tentacles with about so many findings (default: six for ten Tentacles), read from ``asked``."""
    chance = random.Random(f"{tentacles}/{certificates}")
    servers = _servers()
    columns = _certificates(certificates)
    rows = [_tentacle(number, chance, columns, asked) for number in range(tentacles)]
    found = list(_findings(rows, columns, asked, int(tentacles * 0.6) if findings is None else findings, chance, since))
    found.sort(key=lambda one: (ORDER.index(one["severity"]), one["code"], one["subject"]))
    _judge(rows, found)
    for column in columns:
        column["pinned_by"] = sum(row["cells"][column["thumbprint"]]["state"] in ("trusted", "pending") for row in rows)
    open_ones = Counter(one["severity"] for one in found if not one["accepted"])
    worst = Counter(row["severity"] for row in rows)
    return {
        "schema": "octofleet.octopus/audit",
        "version": 1,
        "made_at": "2026-11-22T08:00:00Z",
        "collection": "0.1.0",
        "server_url": "https://octopus.example.com",
        "sources": {source: _source(source, rows, asked) for source in SOURCES},
        "servers": servers,
        "certificates": columns,
        "tentacles": sorted(rows, key=lambda row: str(row["id"])),
        "findings": found,
        "codes": {code: _code(code, found, len(rows), asked) for code in CODES},
        "counts": {
            "tentacles": len(rows),
            "hosts": len({row["host"] for row in rows if row["host"]}),
            **{severity: open_ones[severity] for severity in ORDER},
            "accepted": sum(one["accepted"] is not None for one in found),
            "fine": worst["fine"],
            "not_judged": worst["not_judged"],
        },
        "changes": _changes(found) if since else None,
    }


def _servers() -> list[dict[str, Any]]:
    node = {"state": "read", "reason": ""}
    ours = thumbprint("ours")
    return [
        {
            "name": "this Server",
            "ours": True,
            "database": ours,
            "nodes": [{"name": f"node-{number}", "address": f"10.0.0.{number}:10943", "presented": ours, **node} for number in (1, 2)],
        },
        {
            "name": "dr",
            "ours": False,
            "database": None,
            "nodes": [
                {"name": "dr-1", "address": "octopus-dr.example.com:10943", "presented": thumbprint("dr"), **node},
                {
                    "name": "dr-2",
                    "address": "octopus-dr-2.example.com:10943",
                    "presented": None,
                    "state": "not_read",
                    "reason": "no answer within 5 s",
                },
            ],
        },
    ]


def _certificates(count: int) -> list[dict[str, Any]]:
    known = [("ours", "this Server: node-1, node-2", ["node-1", "node-2"], True, False), ("dr", "dr", ["dr-1"], False, False)]
    known += [("retired", "retired 2026-03-02", [], True, True)]
    known += [(f"ghost {number}", "unknown", [], False, False) for number in range(count)]
    return [
        {
            "thumbprint": thumbprint(seed),
            "label": label,
            "presented_by": presented_by,
            "ours": ours,
            "retired": retired,
            "pinned_by": 0,
            "signature_algorithm": "sha256RSA" if presented_by else None,
            "key": "RSA 2048" if presented_by else None,
            "not_after": "2125-01-01T00:00:00Z" if presented_by else None,
        }
        for seed, label, presented_by, ours, retired in known[:count]
    ]


def _tentacle(number: int, chance: random.Random, columns: list[dict[str, Any]], asked: tuple[str, ...]) -> dict[str, Any]:
    role = _ROLES[number % len(_ROLES)]
    host = f"{role}-{number // len(_ROLES) + 1:03d}"
    style = "polling" if chance.random() < 0.25 else "listening"
    space = ("Default", "Default", "Finance", "Ops")[chance.randrange(4)]
    environment = ("Production", "Production", "Staging", "Test")[chance.randrange(4)]
    own = thumbprint(f"own {number}")
    off = chance.random() < 0.015
    sources = {source: _read(source, asked, chance, off and source != "database") for source in SOURCES}
    read = {source for source, said in sources.items() if said["state"] == "read"}
    record = {
        "id": f"Machines-{number + 1}",
        "name": host,
        "space": space,
        "kind": "worker" if chance.random() < 0.1 else "target",
        "thumbprint": own,
    }
    record.update({"is_disabled": False, "health": "Healthy", "last_contact": "2026-11-22T07:58:10Z" if style == "polling" else None})
    voices = len(read & {"wire", "disk", "database"})
    return {
        "id": f"{host}/Tentacle",
        "host": host,
        "instance": "Tentacle",
        "style": style,
        "endpoint": f"{host}.example.com:10933" if style == "listening" else None,
        "subscription": f"poll://{own[:20].lower()}/" if style == "polling" else None,
        "spaces": [space],
        "environments": [environment],
        "roles": [role],
        "records": [record] if "database" in read else [],
        "presented": own if "wire" in read else None,
        "on_disk": own if "disk" in read else None,
        "certificate": {"signature_algorithm": "sha256RSA", "key": "RSA 2048", "not_after": "2124-06-01T00:00:00Z"} if "wire" in read else None,
        "started_at": "2026-11-01T11:02:00Z" if "process" in read else "",
        "restart_pending": "no" if {"disk", "process"} <= read else "unknown",
        "sources": sources,
        "identity": "not_read" if not voices else "single" if voices == 1 else "agrees",
        "cells": {
            column["thumbprint"]: _cell("trusted" if place == 0 or (place == 1 and space == "Finance") else "not_trusted", read)
            for place, column in enumerate(columns)
        },
        "severity": "fine" if read else "not_judged",
    }


def _read(source: str, asked: tuple[str, ...], chance: random.Random, off: bool) -> dict[str, str]:
    if source not in asked:
        return {"state": "not_asked", "reason": ""}
    if off:
        return {"state": "not_read", "reason": _REASONS[1]}
    if chance.random() < 0.005:
        return {"state": "not_read", "reason": _REASONS[chance.randrange(len(_REASONS))]}
    return {"state": "read", "reason": ""}


def _cell(state: str, read: set[str]) -> dict[str, str]:
    said = {source: answer if source in read else "not_read" for source, answer in zip(("wire", "disk", "process"), _SAID[state], strict=True)}
    return {"state": state if set(said.values()) != {"not_read"} else "not_read", **said}


def _source(source: str, rows: list[dict[str, Any]], asked: tuple[str, ...]) -> dict[str, Any]:
    states = Counter(row["sources"][source]["state"] for row in rows)
    wanted = source in asked
    mode = "trust" if source == "wire" and wanted else ""
    return {"asked": wanted, "mode": mode, "read": states["read"], "not_read": states["not_read"], "reason": "" if wanted else "not asked for"}


def _findings(
    rows: list[dict[str, Any]], columns: list[dict[str, Any]], asked: tuple[str, ...], count: int, chance: random.Random, since: bool
) -> Iterator[dict[str, Any]]:
    judged = {code for code, entry in CODES.items() if set(entry.needs) <= set(asked)}
    for row in rows:
        unread = [said["reason"] for said in row["sources"].values() if said["state"] == "not_read"]
        if unread:
            yield _finding("UNREACHABLE", row, columns, chance, since, reason=unread[0])
    names = [code for code in _WEIGHTS if code in judged]
    weights = [_WEIGHTS[code] for code in names]
    seen: set[tuple[str, str]] = set()
    for _round in range(count if names and rows else 0):
        # A third of a fleet has all of its findings, as estates have it.
        row = rows[int(len(rows) * chance.random() ** 1.6)]
        code = chance.choices(names, weights)[0]
        if (row["id"], code) not in seen and all(row["sources"][source]["state"] == "read" for source in CODES[code].needs):
            seen.add((row["id"], code))
            _mark(row, code, columns)
            yield _finding(code, row, columns, chance, since)
    exposed = rows[::2]
    if exposed and "KEY_EXPOSED" in judged:
        yield {
            **_finding("KEY_EXPOSED", exposed[0], columns, chance, since, count=len(exposed)),
            **{"kind": "fleet", "subject": "the fleet", "host": "", "subjects": [row["id"] for row in exposed]},
        }
    if rows and "DELETION_RISK" in judged:
        yield {
            **_finding("DELETION_RISK", rows[0], columns, chance, since),
            **{"kind": "space", "subject": "Default", "host": "", "spaces": ["Default"], "environments": [], "subjects": ["Default"]},
        }


def _mark(row: dict[str, Any], code: str, columns: list[dict[str, Any]]) -> None:
    """The cells say what the finding says."""
    states = {
        "LOCKED_OUT": (0, "not_trusted"),
        "LOCKED_OUT_AFTER_RESTART": (0, "disagree"),
        "RESTART_PENDING": (-1, "pending"),
        "GHOST_PIN": (-2, "trusted"),
    }
    if code in states:
        place, state = states[code]
        read = {source for source, said in row["sources"].items() if said["state"] == "read"}
        row["cells"][columns[place]["thumbprint"]] = _cell(state, read)
    if code == "RESTART_PENDING":
        row["restart_pending"] = "yes"
    if code == "STALE_RECORD":
        row["identity"] = "differs"
        row["records"] = [{**record, "thumbprint": thumbprint(f"older {row['id']}")} for record in row["records"]]


def _finding(code: str, row: Mapping[str, Any], columns: list[dict[str, Any]], chance: random.Random, since: bool, **said: Any) -> dict[str, Any]:
    entry = CODES[code]
    record = row["records"][0]["id"] if row["records"] else "Machines-1"
    names = {
        **row,
        "ours": columns[0]["thumbprint"],
        "other": columns[-2]["thumbprint"],
        "own": row["presented"] or "",
        "record": record,
        "count": 1,
        **said,
    }
    accepted = {"reason": "moves to the new data centre in January", "until": "2027-01-31"} if chance.random() < 0.04 else None
    return {
        "id": hashlib.sha256(f"{code}/{row['id']}".encode()).hexdigest()[:12],
        "code": code,
        "severity": entry.severity,
        "subject": row["id"],
        "kind": "tentacle",
        "host": row["host"],
        "spaces": list(row["spaces"]),
        "environments": list(row["environments"]),
        "count": said.get("count", 1),
        "seen": entry.seen.format(**names),
        "remedy": entry.remedy.format(**names),
        "subjects": [row["id"]],
        "page": f"codes/{code}",
        "accepted": accepted,
        "status": ("new" if chance.random() < 0.15 else "unchanged") if since else None,
    }


def _judge(rows: list[dict[str, Any]], found: list[dict[str, Any]]) -> None:
    worst: dict[str, str] = {}
    for one in reversed(found):  # the worst is the first in the list, and so the last that is written here
        if not one["accepted"] and one["kind"] != "fleet":
            worst.update(dict.fromkeys(one["subjects"], one["severity"]))
    for row in rows:
        row["severity"] = worst.get(row["id"], row["severity"])


def _code(code: str, found: list[dict[str, Any]], rows: int, asked: tuple[str, ...]) -> dict[str, Any]:
    entry = CODES[code]
    lacking = [source for source in entry.needs if source not in asked]
    own = [one for one in found if one["code"] == code]
    unread = rows if lacking else min(rows, len(entry.needs) * rows // 50)
    why = [f"needs the {source}, which was not asked for" for source in lacking] or ["a source that it needs could not be read"] * bool(unread)
    return {
        "severity": entry.severity,
        "title": entry.title,
        "found": sum(not one["accepted"] for one in own),
        "accepted": sum(one["accepted"] is not None for one in own),
        "judged": rows - unread,
        "not_judged": unread,
        "why_not": why,
    }


def _changes(found: list[dict[str, Any]]) -> dict[str, Any]:
    new = [one["id"] for one in found if one["status"] == "new"]
    gone = [{**one, "id": f"{one['id'][:11]}0", "status": None, "subject": f"old-{place:03d}/Tentacle"} for place, one in enumerate(found[-3:])]
    return {"since": "2026-11-21T08:00:00Z", "new": new, "gone": gone, "unchanged": len(found) - len(new)}
