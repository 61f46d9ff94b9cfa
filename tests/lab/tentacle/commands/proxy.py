# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""proxy and polling-proxy (tentacle-cli.md 2.12)."""

from __future__ import annotations

from typing import ClassVar

from lab.tentacle.commands.base import Command
from lab.tentacle.configuration import boolean, integer
from lab.tentacle.errors import invalid_format


class ProxyConfigurationCommand(Command):
    """Set the proxy; without --proxyEnable=true that switches it off. Asks for no restart although one is needed."""

    prefix: ClassVar[str] = "Octopus.Proxy"

    def declare(self) -> None:
        self.value("proxyEnable=", "Whether to use a proxy")
        self.act("proxyUsername=", "Username to use when authenticating with the proxy", self._username)
        self.value("proxyPassword=", "Password to use when authenticating with the proxy", sensitive=True)
        self.value("proxyHost=", "The proxy host to use. Leave empty to use the default Internet Explorer proxy")
        self.act("proxyPort=", "The proxy port to use in conjunction with the Host set with proxyHost", self._port)

    def start(self) -> int:
        if "proxyPassword" in self.given:
            password = self.last("proxyPassword")
            self.context.configuration.set_encrypted(f"{self.prefix}.ProxyPassword", password)
            self.context.log.info("Proxy password set to: *******" if password else "Proxy password cleared")
        if self._enabled():
            host = self.last("proxyHost").rpartition("://")[2].partition(":")[0].rstrip("/")
            self._set("ProxyHost", host)
            self._set("UseDefaultProxy", str(not host).lower())
            self.context.log.info(f"Using custom proxy at: {host}" if host else "Using Internet Explorer Proxy")
        elif "proxyEnable" in self.given or self.context.settings.quirk("proxy_off_unless_enabled"):
            self._set("ProxyHost", "")
            self._set("UseDefaultProxy", "false")
            self.context.log.info("Proxy use is disabled")
        return 0

    def _enabled(self) -> bool:
        try:
            return boolean(self.last("proxyEnable") or "false")
        except ValueError as error:
            raise invalid_format(str(error)) from error

    def _username(self, name: str) -> None:
        self._set("ProxyUsername", name)
        self.context.log.info(f"Proxy username set to: {name}" if name else "Proxy username cleared")

    def _port(self, text: str) -> None:
        if not self.last("proxyHost"):
            return
        try:
            port = integer(text)
        except ValueError as error:
            raise invalid_format(str(error)) from error
        self._set("ProxyPort", str(port))
        self.context.log.info(f"Proxy port set to: {port}")

    def _set(self, key: str, value: str) -> None:
        self.context.configuration.store.set(f"{self.prefix}.{key}", value)


class PollingProxyConfigurationCommand(ProxyConfigurationCommand):
    """The same for polling."""

    prefix: ClassVar[str] = "Octopus.Server.Proxy"
