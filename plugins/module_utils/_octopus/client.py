# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The Octopus REST API as typed questions (contracts/octopus-server.md 3). Transport, clock and sleep are handed in."""

from __future__ import annotations

import json
import re
import time
from functools import partial
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, TypeVar
from urllib.parse import quote, urlencode, urljoin, urlsplit

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus import records
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.records import (
    Connection,
    MachineRecord,
    Policy,
    ProxyRecord,
    Server,
    ServerCertificate,
    ServerNode,
    Space,
    Task,
)
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.transport import NoAnswer, Request, Response, Transport
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import HIDDEN, Secret

_KEY_HEADER = "X-Octopus-ApiKey"
_COLLECTIONS = {records.TARGET: "machines", records.WORKER: "workers"}
# 3.1 and hazard 38: what a busy, rate limited or starting Server, or the proxy before it, answers.
_PASSING = (408, 429, 500, 502, 503, 504)
# Of those, the ones that say that the request itself was not carried out, so that a POST may be sent again.
_NOT_DONE = (429, 503)
_TASKS_LOOKED_AT = 100
_URL = re.compile(r"[!-~]+")

T = TypeVar("T")


class Patience(NamedTuple):
    """How long one question is repeated while the Server is busy or starting, and how the pauses grow; seconds."""

    deadline: float = 120.0
    first: float = 1.0
    longest: float = 15.0


class OctopusClient:
    """A row of a list that cannot be understood is refused, and with it the list: whoever rotates may overlook no record.

    Who can do without it hands a list over, ``odd``, to which the reason is added.
    """

    def __init__(
        self,
        base_url: str,
        api_key: Secret,
        transport: Transport,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        patience: Patience = Patience(),  # noqa: B008  # immutable
    ) -> None:
        self._base = base_of(base_url)
        self._key = api_key
        self._transport = transport
        self._clock = clock
        self._sleep = sleep
        self._patience = patience

    # What there is ------------------------------------------------------------------------------------------------

    def server(self) -> Server:
        return records.server(self._object("/api", "the API root"))

    def installation_at(self, base_url: str) -> Optional[str]:
        """Which installation answers at another address, asked once and without the key (octopus-server.md 3.1); None: no Octopus Server does."""
        try:
            response = self._transport(Request("GET", f"{base_of(base_url)}/api", {"Accept": "application/json"}, None))
            document = _document(response.body)
        except (NoAnswer, ValueError):
            return None
        return records.server(document).installation_id or None if isinstance(document, dict) else None

    def certificate(self) -> ServerCertificate:
        return records.certificate(self._object("/api/configuration/certificates/certificate-global", "the Server certificate"))

    def spaces(self, odd: Optional[List[str]] = None) -> List[Space]:
        """The spaces that the key sees, which need not be all there are (3.3)."""
        return self._rows("/api/spaces/all", "the spaces", records.space, odd)

    def nodes(self, odd: Optional[List[str]] = None) -> List[ServerNode]:
        what = "the Server nodes"
        document = self._object("/api/octopusservernodes/summary", what)
        return self._read(self._table(document.get("Nodes", document.get("Items")), what), what, records.node, odd)

    def policies(self, space: Space, odd: Optional[List[str]] = None) -> List[Policy]:
        return self._rows(
            _in(space, "machinepolicies/all"), f"the machine policies of space {space.name}", partial(records.policy, of_space=space), odd
        )

    def environments(self, space: Space, odd: Optional[List[str]] = None) -> Dict[str, str]:
        """Names of a space's environments by id."""
        return dict(self._rows(_in(space, "environments/all"), f"the environments of space {space.name}", records.environment, odd))

    def proxies(self, space: Space) -> List[ProxyRecord]:
        return self._rows(_in(space, "proxies/all"), f"the proxies of space {space.name}", records.proxy)

    def machines(self, space: Space, kinds: Iterable[str] = tuple(_COLLECTIONS), odd: Optional[List[str]] = None) -> List[MachineRecord]:
        """Deployment targets, then workers: all records of a space, whatever their style; a permission is for one of the two kinds."""
        found: List[MachineRecord] = []
        for kind in kinds:
            read = partial(records.machine, kind=kind, of_space=space)
            found += self._rows(_in(space, f"{_COLLECTIONS[kind]}/all"), f"the {kind}s of space {space.name}", read, odd)
        return found

    def machine(self, record: MachineRecord) -> MachineRecord:
        """The record as it is now."""
        space = Space(record.space_id, record.space, False, False)
        return records.machine(self._object(_route(record), f"the {record.kind} {record.name}"), record.kind, space)

    def connection(self, record: MachineRecord) -> Connection:
        document = self._object(f"{_route(record)}/connection", f"the last contact of the Server with {record.name}")
        return records.connection(document, record.id)

    def running_tasks(self, record: MachineRecord) -> List[Task]:
        """Unfinished tasks that use the machine, newest first.

        Looks at its newest hundred tasks: a history holds thousands of health checks, and an unfinished task is young.
        """
        query = urlencode({"skip": 0, "take": _TASKS_LOOKED_AT})
        return [one for one in self._tasks(f"{_route(record)}/tasks?{query}", f"the tasks of {record.name}") if not one.finished]

    def tasks_on(self, node: ServerNode) -> List[Task]:
        """The running tasks of a node that the key sees, newest first."""
        query = urlencode({"node": node.name, "running": "true", "includeSystem": "true", "take": _TASKS_LOOKED_AT})
        return self._tasks(f"/api/tasks?{query}", f"the tasks of the node {node.name}")

    def in_maintenance(self) -> bool:
        return bool(self._object("/api/serverstatus", "the Server status").get("IsInMaintenanceMode"))

    # What can be done ---------------------------------------------------------------------------------------------

    def set_maintenance(self, wanted: bool) -> None:
        self._switch("/api/maintenanceconfiguration", "the maintenance mode", wanted)

    def set_draining(self, node: ServerNode, wanted: bool) -> None:
        self._switch(f"/api/octopusservernodes/{_word(node.id)}", f"the drain switch of the node {node.name}", wanted)

    def _switch(self, route: str, what: str, wanted: bool) -> None:
        """The whole document goes back, as omitted fields may be read as empty (3.1). Of a node, the field means that it drains (3.2)."""
        document = self._object(route, what)
        if bool(document.get("IsInMaintenanceMode")) == wanted:
            return
        self._send("PUT", route, what, {**document, "IsInMaintenanceMode": wanted})
        if bool(self._object(route, what).get("IsInMaintenanceMode")) != wanted:
            raise OctoError(f"The Octopus Server {self._base} took the change of {what}, but still says {not wanted}.")

    def start_health_check(self, space: Space, ids: Sequence[str], description: str, timeout: float, machine_timeout: float) -> Task:
        if not ids:
            # 3.7: a list of nothing would mean everything.
            raise OctoError(f"A health check of no machine in space {space.name} was asked for; name at least one.")
        arguments = {"Timeout": records.span(timeout), "MachineTimeout": records.span(machine_timeout), "MachineIds": list(ids)}
        body = {"SpaceId": space.id, "Name": "Health", "Description": description, "Arguments": arguments}
        return records.task(self._send("POST", _in(space, "tasks"), f"a health check of {len(ids)} machines in space {space.name}", body))

    def task(self, task_id: str) -> Task:
        return records.task(self._object(f"/api/tasks/{_word(task_id)}", f"the task {task_id}"))

    def task_messages(self, task_id: str) -> List[str]:
        """Warnings and errors in a task's log, in order."""
        return records.log_messages(self._object(f"/api/tasks/{_word(task_id)}/details", f"the log of task {task_id}"))

    def cancel(self, task_id: str) -> None:
        self._send("POST", f"/api/tasks/{_word(task_id)}/cancel", f"the cancellation of task {task_id}", {})

    # How ----------------------------------------------------------------------------------------------------------

    def _object(self, route: str, what: str) -> Mapping[str, Any]:
        document = self._json("GET", self._base + route, what)
        if not isinstance(document, dict):
            raise OctoError(f"The Octopus Server {self._base} sent {records.kind_of(document)} in place of an object for {what}.")
        return document

    def _send(self, method: str, route: str, what: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        document = self._json(method, self._base + route, what, body)
        return document if isinstance(document, dict) else {}

    def _tasks(self, route: str, what: str) -> List[Task]:
        return self._read(self._table(self._object(route, what).get("Items"), what), what, records.task)

    def _rows(self, route: str, what: str, read: Callable[[Any], T], odd: Optional[List[str]] = None) -> List[T]:
        """A bare array, or a paged collection followed to its end."""
        url: Optional[str] = self._base + route
        rows: List[Any] = []
        seen: List[str] = []
        while url is not None:
            if url in seen:
                raise OctoError(f"The Octopus Server {self._base} names a page of {what} as its own next page; the list cannot be completed.")
            seen.append(url)
            document = self._json("GET", url, what)
            rows += self._table(document.get("Items") if isinstance(document, dict) else document, what)
            url = self._next_page(document, what)
        return self._read(rows, what, read, odd)

    def _table(self, rows: Any, what: str) -> List[Any]:
        if not isinstance(rows, list):
            raise OctoError(f"The Octopus Server {self._base} sent {records.kind_of(rows)} in place of a list for {what}.")
        return rows

    def _read(self, rows: Sequence[Any], what: str, read: Callable[[Any], T], odd: Optional[List[str]] = None) -> List[T]:
        found: List[T] = []
        for number, row in enumerate(rows, 1):
            try:
                found.append(read(row))
            except OctoError as error:
                reason = f"Row {number} of {what}: {error.message}"
                if odd is None:
                    raise OctoError(reason) from None
                odd.append(reason)
        return found

    def _next_page(self, document: Any, what: str) -> Optional[str]:
        links = document.get("Links") if isinstance(document, dict) else None
        link = links.get("Page.Next") if isinstance(links, dict) else links
        if not link:
            return None
        url = _at(self._base, link)
        if url is None:
            raise OctoError(
                f"The next page of {what} is said to be at {link!a:.80}, which is no place of {self._base}; the API key is not sent there.", link=link
            )
        return url

    def _json(self, method: str, url: str, what: str, body: Optional[Mapping[str, Any]] = None) -> Any:
        headers: Dict[str, str] = {"Accept": "application/json", _KEY_HEADER: self._key.reveal()}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = Request(method, url, headers, None if body is None else json.dumps(body).encode("utf-8"))
        response = self._answer(request, what)
        if response.status >= 300:
            raise self._refusal(response, what)
        try:
            return _document(response.body) if response.body.strip() else {}
        except ValueError:
            raise OctoError(
                f"{self._base} answered the question for {what} with something that is not JSON{_glimpse(response.body)}. "
                "Check server_url: it is the address of the Octopus portal, without a proxy's log-in page before it.",
                status=response.status,
            ) from None

    def _answer(self, request: Request, what: str) -> Response:
        """The first answer that is not of the passing kind, asked for until the deadline."""
        give_up = self._clock() + self._patience.deadline
        pause = self._patience.first
        while True:
            wait = pause
            try:
                response = self._transport(request)
            except NoAnswer as error:
                if not error.passing or (error.reached and request.method != "GET"):
                    raise self._silence(error, request, what) from None
                complaint = self._silence(error, request, what)
            else:
                if response.status not in (_PASSING if request.method == "GET" else _NOT_DONE):
                    return response
                wait = _retry_after(response) or pause
                complaint = self._refusal(response, what)
            if self._clock() + wait > give_up:
                raise OctoError(f"{complaint.message} It was tried for {self._patience.deadline:.0f} s.", **complaint.evidence)
            self._sleep(wait)
            pause = min(pause * 2, self._patience.longest)

    def _silence(self, error: NoAnswer, request: Request, what: str) -> OctoError:
        doubt = " Whether it was carried out is not known." if error.reached and request.method != "GET" else ""
        return OctoError(f"The Octopus Server {self._base} could not be asked for {what}: {self._clean(error.reason)}.{doubt}", silent=True)

    def _refusal(self, response: Response, what: str) -> OctoError:
        said = _said(response)
        status = response.status
        shown = f" It says: {said.rstrip('.')}." if said else ""
        if status == 401:
            sentence = (
                f"The Octopus Server {self._base} does not accept the API key (401), asked for {what}."
                " Check api_key: is it of this Server, and not expired?"
            )
        elif status == 403:
            sentence = f"The API key may not have {what} (403) at {self._base}. Give its user a role with that permission."
        elif status == 404:
            sentence = f"The Octopus Server {self._base} does not know {what} (404), or the API key may not see it."
        elif status == 429:
            sentence = f"The Octopus Server {self._base} limits the rate of this user's questions (429), asked for {what}."
        elif 300 <= status < 400:
            sentence = (
                f"{self._base} answered the question for {what} with a redirect ({status}) to {response.headers.get('location', 'nowhere')!a}. "
                "The API key is not sent along; put the final address into server_url."
            )
        else:
            sentence = f"The Octopus Server {self._base} answered {status} to the question for {what}."
        return OctoError(self._clean(sentence + shown), status=status)

    def _clean(self, text: str) -> str:
        return text.replace(self._key.reveal(), HIDDEN) if self._key else text


def choose_spaces(visible: Sequence[Space], wanted: Optional[Sequence[str]]) -> List[Space]:
    """The visible spaces named in ``wanted`` (name or id, letter case ignored); all visible ones if it is None."""
    if wanted is None:
        return list(visible)
    by_word = {word.lower(): space for space in visible for word in (space.id, space.name)}
    missing = [name for name in wanted if name.strip().lower() not in by_word]
    if missing:
        raise OctoError(
            f"The API key does not see {_spaces(missing)}. It sees {', '.join(space.name for space in visible) or 'no space at all'}. "
            "Correct the name, or use a key of a user with rights in it.",
            missing_spaces=missing,
        )
    chosen = {by_word[name.strip().lower()].id for name in wanted}
    return [space for space in visible if space.id in chosen]


def _spaces(names: Sequence[str]) -> str:
    return f"the space {names[0]}" if len(names) == 1 else f"the spaces {', '.join(names)}"


def _route(record: MachineRecord) -> str:
    return f"/api/{_word(record.space_id)}/{_COLLECTIONS[record.kind]}/{_word(record.id)}"


def _in(space: Space, route: str) -> str:
    return f"/api/{_word(space.id)}/{route}"


def _word(text: str) -> str:
    return quote(text, safe="")


def _at(base: str, link: Any) -> Optional[str]:
    """The address that a link means, if it is one of the same Server."""
    try:
        url = urljoin(base + "/", link) if isinstance(link, str) and _URL.fullmatch(link) else ""
        return url if urlsplit(url)[:2] == urlsplit(base)[:2] else None
    except ValueError:
        return None


def base_of(url: str) -> str:
    """The address without a closing slash or ``/api``, refused when it could carry a secret or is no web address."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OctoError(f"server_url {url!a} is not a web address. Give the one of the Octopus portal, such as https://octopus.example.com.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise OctoError("server_url holds more than an address (a user, a query or a fragment). Give the address alone; the key goes into api_key.")
    path = re.sub(r"(/api)?/*\Z", "", parts.path)
    return f"{parts.scheme}://{parts.netloc}{path}"


def _retry_after(response: Response) -> Optional[float]:
    """The wait that a rate limit asks for; its other form, a date, is left to the usual pause."""
    text = response.headers.get("retry-after", "").strip()
    return float(text) if text.isdecimal() else None


def _document(body: bytes) -> Any:
    """What JSON says; ValueError for what is none, or none that anybody means."""
    try:
        return json.loads(body.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _said(response: Response) -> str:
    """``ErrorMessage`` and ``Errors`` of the API's error document, any of which may be missing; else a glimpse of the body."""
    try:
        document = _document(response.body)
    except ValueError:
        return _glimpse(response.body).strip(" ()")
    if not isinstance(document, dict):
        return ""
    errors = document.get("Errors")
    texts: List[str] = []
    for part in (document.get("ErrorMessage"), *(errors if isinstance(errors, list) else ())):
        if isinstance(part, str) and part.strip() and part.strip() not in texts:
            texts.append(part.strip())
    return " ".join(texts)


def _glimpse(body: bytes) -> str:
    """Title or first words of a page that a proxy or a starting Server sent in place of JSON."""
    text = body[:4096].decode("utf-8", "replace")
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    words = " ".join(re.sub(r"<[^>]*>", " ", title.group(1) if title else text).split())[:120]
    return f" ({words})" if words else ""
