# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The REST API of one node over http: who asks, from which space, whether he may, and which route answers (octopus-server.md 3.1)."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from urllib.parse import parse_qsl, urlsplit

from lab.server import api_fleet, api_system, api_tasks
from lab.server.database import Certificate, Database, User
from lab.server.health import Attempt
from lab.server.quirks import quirk_of
from lab.server.resources import Document
from lab.server.rest import BAD_KEY, EVERYTHING, NO_KEY, PAGE, STARTING_PAGE, ApiError, Reply, Request, Route, forbidden, missing
from lab.server.tasks import Tasks
from lab.settings import Settings

_ROUTES: tuple[Route, ...] = (*api_system.ROUTES, *api_fleet.ROUTES, *api_tasks.ROUTES)
_SPACE = re.compile(r"/(Spaces-[^/]+)(/.*)?\Z", re.IGNORECASE)
_OFFLINE_SECONDS = 60.0
_LARGEST_BODY = 10_000_000
_WITNESS_DOOR = "/lab/ask"


class Api:
    """What the routes work on."""

    def __init__(
        self,
        database: Database,
        tasks: Tasks,
        settings: Settings,
        node_name: str,
        loaded: Callable[[], Certificate],
        ask: Callable[[str, float], Attempt],
    ) -> None:
        self.database, self.tasks, self.settings, self.node_name = database, tasks, settings, node_name
        self.quirk = quirk_of(settings)
        self.page_size = PAGE if self.quirk("server_pages_of_30") else EVERYTHING
        # A node that has not been heard of for this long is shown as offline.
        self.offline_after = max(3.0, _OFFLINE_SECONDS * settings.time_scale)
        self._loaded, self._ask = loaded, ask
        self._started = time.monotonic()
        self._count = itertools.count(1)

    @property
    def default_space(self) -> str | None:
        return next((each["Id"] for each in self.database.documents("Spaces") if each["IsDefault"]), None)

    def shown_certificate(self) -> Certificate:
        """Of the database, or, by fault `certificate_rest_shows`, the loaded one: no source tells which a real Server shows (6.2, 4)."""
        return self._loaded() if self.settings.fault("certificate_rest_shows") == "loaded" else self.database.certificate()

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        try:
            return self._answer(method, target, headers, body)
        except ApiError as error:
            return error.reply()

    def _answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if time.monotonic() - self._started < _seconds(self.settings.fault("starting_seconds")):
            return Reply(503, STARTING_PAGE, "text/html; charset=utf-8")
        url = urlsplit(target)
        if url.path == _WITNESS_DOOR:
            return self._witness(dict(parse_qsl(url.query)))
        if method == "POST":
            # The .NET client sends PUT and DELETE like this (3.1).
            method = _header(headers, "X-HTTP-Method-Override", "POST").upper()
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        path, space = self._split(url.path)
        user = self._user(_header(headers, "X-Octopus-ApiKey") or query.get("apikey"))
        route, parts = self._route(method, path, known=user is not None)
        self._limit_rate()
        request = Request(self, method, query, _parsed(body), user, space or self.default_space, space, parts)
        if not route.is_open:
            request = self._admitted(request, route)
        result = route.handler(request)
        return result if isinstance(result, Reply) else Reply(200, result)

    def _witness(self, query: Mapping[str, str]) -> Reply:
        """No route of Octopus: the lab's witness asks a polling Tentacle through this node's queue, which lives in this process only."""
        attempt = self._ask(query["subscription"], float(query.get("seconds", "5")))
        return Reply(200, {"Ok": attempt.error is None, "Error": attempt.error, "Loaded": self._loaded().thumbprint})

    @staticmethod
    def _split(path: str) -> tuple[str, str | None]:
        """The path below /api, and the space that it names."""
        if path.lower() != "/api" and not path.lower().startswith("/api/"):
            raise missing(path)
        rest = path[4:] or "/"
        match = _SPACE.match(rest)
        return (match[2] or "/", match[1]) if match else (rest, None)

    def _user(self, key: str | None) -> User | None:
        if not key:
            return None
        user = self.database.user(key)
        if user is None:
            raise ApiError(401, BAD_KEY)
        return user

    def _route(self, method: str, path: str, *, known: bool) -> tuple[Route, dict[str, str]]:
        matches = [(route, match.groupdict()) for route in _ROUTES if (match := route.pattern.match(path))]
        found = next((pair for pair in matches if pair[0].method == method), None)
        if not known and (found is None or not found[0].is_open):
            raise ApiError(401, NO_KEY)
        if found is None:
            raise ApiError(405, f"The method {method} is not supported for this resource.") if matches else missing(path)
        return found

    def _limit_rate(self) -> None:
        """Fault `rate_limit`: {"every": n, "retry_after": seconds} turns each n-th request away (3.1)."""
        fault = self.settings.fault("rate_limit")
        if isinstance(fault, dict) and next(self._count) % int(fault.get("every", 1)) == 0:
            headers = {"Retry-After": str(fault["retry_after"])} if "retry_after" in fault else {}
            raise ApiError(429, "Too many requests. Please try again later.", headers=headers)

    def _admitted(self, request: Request, route: Route) -> Request:
        """The request, if its user may; with the space's id as it is really spelled. A space that the key does not see does not exist for it."""
        user, space = request.someone, request.space_id
        visible = {each["Id"].lower(): each["Id"] for each in self.database.documents("Spaces") if user.sees(each["Id"])}
        named = request.route_space
        if named is not None and named.lower() not in visible:
            raise missing(named)
        if route.permission is not None and not user.may(route.permission):
            raise forbidden(route.permission)
        api_system.refuse_in_maintenance(request)
        spelled = visible.get((space or "").lower())
        return replace(request, space_id=spelled, route_space=spelled if named is not None else None)


def _parsed(body: bytes) -> Document:
    if not body.strip():
        return {}
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise ApiError(400, "There was a problem with your request.", f"The request body is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ApiError(400, "There was a problem with your request.", "The request body is not a JSON object.")
    return parsed


def _header(headers: Mapping[str, str], name: str, default: str = "") -> str:
    return next((value for key, value in headers.items() if key.lower() == name.lower()), default)


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


class RestServer(ThreadingHTTPServer):
    """Listens on the web port of the node; a thread per connection, ended with the process."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], api: Api, log: Callable[[str, str, str], None]) -> None:
        self.api, self.log = api, log
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Without the base class's look-up of the host's full name: it asks a name server, and start-up would wait for it."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: RestServer

    def _serve(self) -> None:
        length = min(int(self.headers.get("Content-Length") or 0), _LARGEST_BODY)
        reply = self.server.api.answer(self.command, self.path, dict(self.headers.items()), self.rfile.read(length))
        payload = reply.payload()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(payload)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = do_PUT = do_DELETE = _serve

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """The request line without its query: an API key may stand there."""
        del code, size
        self.server.log("DEBUG", "web", f"{self.command} {self.path.partition('?')[0]}")
