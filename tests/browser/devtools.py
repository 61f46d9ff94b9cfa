# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian's chromium, driven by the DevTools protocol over a pair of pipes: no driver, no port, no package."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PATIENCE = 300.0  # seconds for one answer; tests run beside others, and printing 5,000 rows is work
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # chromium refuses to run as root with it
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-extensions",
    "--no-first-run",
    "--hide-scrollbars",
)


def missing() -> str:
    """What a machine lacks to run these tests, as a sentence; empty when nothing is."""
    lacking = [package for program, package in (("chromium", "chromium"), ("pdftotext", "poppler-utils")) if shutil.which(program) is None]
    return f"not installed: {', '.join(lacking)} (apt-get install --no-install-recommends {' '.join(lacking)})" if lacking else ""


class Browser:
    """One headless chromium with one page at a time."""

    def __init__(self, profile: Path) -> None:
        own_read, its_write = _pipe()
        its_read, own_write = _pipe()
        # It reads its orders from descriptor 3 and writes its answers to 4.
        errors = (os.POSIX_SPAWN_OPEN, 2, str(profile / "stderr"), os.O_WRONLY | os.O_CREAT, 0o600)
        actions = [(os.POSIX_SPAWN_DUP2, its_read, 3), (os.POSIX_SPAWN_DUP2, its_write, 4), errors]
        argv = ["chromium", *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self._pid = os.posix_spawn(
            shutil.which("chromium") or "chromium", argv, {**os.environ, "HOME": str(profile)}, file_actions=actions, setpgroup=0
        )
        os.close(its_read)
        os.close(its_write)
        self._read, self._write = own_read, own_write
        self._buffer = b""
        self._last = 0
        self._session = ""
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        # A page is in front of its reader, also after one was printed: only then may it read the clipboard.
        self.send("Emulation.setFocusEmulationEnabled", enabled=True)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of one command; events that arrive meanwhile are kept."""
        self._last += 1
        order = {"id": self._last, "method": method, "params": params, **({"sessionId": self._session} if self._session else {})}
        self._write_all(json.dumps(order).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while True:
            message = self._next(deadline, method)
            if message.get("id") == self._last:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return dict(message["result"])

    def wait_for(self, event: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while True:
            for place, known in enumerate(self.events):
                if known["method"] == event:
                    return dict(self.events.pop(place)["params"])
            self._next(deadline, event)

    def open(self, url: str) -> None:
        self.events.clear()
        self.send("Page.navigate", url=url)
        self.wait_for("Page.loadEventFired")

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for. Without one it is what an async function's body returns."""
        if "return " in script or ";" in script:
            script = f"(async () => {{ {script} }})()"
        answer = self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True, allowUnsafeEvalBlockedByCSP=False
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def press(self, key: str, code: int = 0, text: str = "", modifiers: int = 0) -> None:
        """One key as a person presses it; a character types itself."""
        text = text or (key if len(key) == 1 else "\r" if key == "Enter" else "")
        known = {
            "type": "keyDown",
            "key": key,
            "windowsVirtualKeyCode": code or _CODES.get(key, 0),
            "modifiers": modifiers,
            **({"text": text} if text else {}),
        }
        self.send("Input.dispatchKeyEvent", **known)
        self.send("Input.dispatchKeyEvent", **{**known, "type": "keyUp"})

    def size(self, width: int, height: int) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def prefer(self, scheme: str) -> None:
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def grant(self, *permissions: str) -> None:
        session, self._session = self._session, ""  # the browser's, not the page's
        self.send("Browser.grantPermissions", permissions=list(permissions))
        self._session = session

    def screenshot(self, kind: str = "png") -> bytes:
        quality = {} if kind == "png" else {"quality": 86}
        return base64.b64decode(self.send("Page.captureScreenshot", format=kind, **quality)["data"])

    def pdf(self) -> bytes:
        return base64.b64decode(self.send("Page.printToPDF", preferCSSPageSize=True, printBackground=True, generateTaggedPDF=False)["data"])

    def close(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            self._session = ""
            self.send("Browser.close")
        os.close(self._write)
        os.close(self._read)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def _write_all(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._write, data) :]

    def _next(self, deadline: float, what: str) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise RuntimeError(f"chromium did not answer within {PATIENCE:.0f} s: {what}")
            data = os.read(self._read, 1 << 20)
            if not data:
                raise RuntimeError(f"chromium ended while it was asked: {what}")
            self._buffer += data
        raw, self._buffer = self._buffer.split(b"\0", 1)
        message = dict(json.loads(raw))
        if "id" not in message:
            self.events.append(message)
        return message


_CODES = {"Enter": 13, "Escape": 27, "Tab": 9, " ": 32, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36}
_CODES |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


def _pipe() -> tuple[int, int]:
    """Both ends above the descriptors that the browser gets them as, so that one cannot overwrite the other."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    with tempfile.TemporaryDirectory(prefix="octo-browser-", ignore_cleanup_errors=True) as profile:
        one = Browser(Path(profile))
        try:
            yield one
        finally:
            one.close()
