# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""What stands around a vendor command that writes a configuration: quiet before it, a copy, a look afterwards and the way back (H-15)."""

from __future__ import annotations

from typing import Collection, List

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Clock, Host, Process
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import agent, configuration, trust, writer
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Subject
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.configuration import Configuration


class Guard:
    """Of one configuration. Who calls holds our own lock for it, from the first look to the last."""

    def __init__(self, host: Host, subject: Subject, home: str, clock: Clock, patience: float) -> None:
        self._host, self._subject, self._home, self._clock, self._patience = host, subject, home, clock, patience
        self._path = subject.configuration
        self._copy = ""

    def backed_up(self) -> Configuration:
        """The configuration in a quiet moment. A copy of it is put beside it; of all our copies a write of the trust keeps the latest few."""
        writer.sweep(self._host, self._subject)
        self._wait_until_quiet()
        settings = configuration.load(self._host, self._path, self._clock)
        self._copy = writer.put_copy(self._host, self._subject, self._host.paths.dirname(self._path), settings.data)
        return settings

    def mend(self, before: Configuration, free: Collection[str] = ()) -> str:
        """Put ``before`` back if the file is torn, or if anything but the ``free`` keys is not as it was; then what was done, for a person.

        What others added meanwhile stays: a new pin of another Server must not be lost by us.
        """
        self._wait_until_quiet()
        try:
            lost = _lost(before, configuration.load(self._host, self._path, self._clock), free)
            what = f"{self._path} has another {' and another '.join(lost)} than before" if lost else ""
        except OctoError as error:
            what = error.message.partition(". ")[0]
        if not what:
            return ""
        self._put_back(before)
        return f"{what}. It was put back as it was."

    def _put_back(self, before: Configuration) -> None:
        deadline = self._clock.now() + self._patience
        while True:
            found = self._host.read(self._path)
            if found is not None and not self._host.replace_if_same(self._path, found, before.data, lambda: not self._at_work()):
                return
            if found is None or self._clock.now() >= deadline:
                raise OctoError(
                    f"{self._path} could not be put back as it was. Restore it from {self._copy} before the Tentacle restarts.",
                    code="NOT_WRITTEN",
                    path=self._path,
                )
            self._clock.sleep(0.05)

    def _at_work(self) -> List[Process]:
        return agent.commands_at_work(self._host, self._subject, self._home)

    def _wait_until_quiet(self) -> None:
        writer.wait_until_quiet(self._host, self._clock, self._path, self._at_work, self._clock.now() + self._patience)


def _lost(before: Configuration, after: Configuration, free: Collection[str]) -> List[str]:
    """Keys that have not the value any more that they had."""
    keys = {setting.key.lower(): setting.key for setting in before.settings}
    judged = keys.keys() - {key.lower() for key in free}
    return [key for lower, key in keys.items() if lower in judged and not _is_kept(key, before.get(key), after.get(key))]


def _is_kept(key: str, before: str, after: str) -> bool:
    if key != configuration.TRUST or before == after:
        return before == after
    return {entry._replace(raw="") for entry in trust.parse(before)} <= {entry._replace(raw="") for entry in trust.parse(after)}
