# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""REST plumbing: requests, replies, errors, routes and paging as octopus-server.md 3.1 words them; no route is named here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from lab.server.resources import Document

if TYPE_CHECKING:
    from lab.server.api import Api
    from lab.server.database import User

PAGE = 30
EVERYTHING = 2**31 - 1
_FORBIDDEN = "You do not have permission to perform this action. Please contact your Octopus administrator. Missing permission: "
NO_KEY = "You must be logged in to request this resource. Please provide a valid API key or log in again."
BAD_KEY = "The API key you provided was not valid. Please double-check your API key and try again."
STARTING_PAGE = "<!DOCTYPE html><html><head><title>Octopus Deploy</title></head><body><h1>Octopus Server is starting</h1></body></html>"


class ApiError(Exception):
    """Ends a request with the error document of 3.1."""

    def __init__(self, status: int, message: str, *details: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.details, self.headers = status, message, details, dict(headers or {})

    def reply(self) -> Reply:
        body = {"ErrorMessage": self.message, "Errors": list(self.details), "FullException": None, "HelpText": None, "Details": None}
        return Reply(self.status, body, headers=self.headers)


def missing(identity: str) -> ApiError:
    return ApiError(404, f"The resource '{identity}' was not found.")


def forbidden(permission: str) -> ApiError:
    return ApiError(403, _FORBIDDEN + permission)


@dataclass(frozen=True)
class Request:
    """One request, authenticated and inside its space. ``user`` is None only on the routes that need no key.

    ``route_space`` is the space that the path names, ``space_id`` that or else the default space.
    """

    api: Api
    method: str
    query: Mapping[str, str]
    body: Document
    user: User | None
    space_id: str | None
    route_space: str | None = None
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def someone(self) -> User:
        if self.user is None:
            raise ApiError(401, NO_KEY)
        return self.user

    @property
    def space(self) -> str:
        """The space of a space-scoped route."""
        if self.space_id is None:
            raise ApiError(400, "The default space is disabled or not yours. Name a space in the route, for example /api/Spaces-1/machines.")
        return self.space_id

    def number(self, name: str, default: int) -> int:
        try:
            return max(0, int(self.query[name])) if name in self.query else default
        except ValueError as error:
            raise ApiError(400, f"The value of '{name}' is not a number.") from error

    def listed(self, name: str) -> tuple[str, ...]:
        """A comma-separated parameter; empty when it is absent or blank."""
        return tuple(each for each in self.query.get(name, "").split(",") if each)


@dataclass(frozen=True)
class Reply:
    status: int
    body: Any
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    def payload(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body, indent=2).encode()


Handler = Callable[[Request], Any]


@dataclass(frozen=True)
class Route:
    method: str
    pattern: re.Pattern[str]
    handler: Handler
    permission: str | None
    is_open: bool


class Routes:
    """The routes of one part of the API; words of a path match in any letter case."""

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def on(self, method: str, path: str, *, permission: str | None = None, is_open: bool = False) -> Callable[[Handler], Handler]:
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + r"/?\Z", re.IGNORECASE)

        def register(handler: Handler) -> Handler:
            self._routes.append(Route(method, pattern, handler, permission, is_open))
            return handler

        return register

    def __iter__(self) -> Any:
        return iter(self._routes)


def page(request: Request, kind: str, items: Sequence[Document], link: str) -> Document:
    """One page of ``items``: Page.Next is there until the last page and absent on it."""
    size = request.api.page_size
    skip, take = request.number("skip", 0), request.number("take", size) or size
    filters = {key: value for key, value in request.query.items() if key not in ("skip", "take", "apikey")}
    pages = max(1, math.ceil(len(items) / take))

    def at(offset: int) -> str:
        return f"{link}?{urlencode({'skip': offset, 'take': take, **filters})}"

    everything = f"{link}?{urlencode({'skip': 0, 'take': EVERYTHING, **filters})}"
    links = {"Self": at(skip), "Template": f"{link}{{?skip,take,ids}}", "Page.All": everything, "Page.Current": at(skip)}
    if skip + take < len(items):
        links["Page.Next"] = at(skip + take)
    links["Page.Last"] = at((pages - 1) * take)
    return {
        "ItemType": kind,
        "TotalResults": len(items),
        "ItemsPerPage": take,
        "NumberOfPages": pages,
        "LastPageNumber": pages - 1,
        "Items": list(items[skip : skip + take]),
        "IsStale": False,
        "Links": links,
    }
