# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The one exception that carries a sentence for a person and evidence for a machine."""

from __future__ import annotations

from typing import Any, Dict


class OctoError(Exception):
    """A refusal or a failure that a person can act on.

    The message is one sentence: what was asked, of which object, what is wrong, what to do. What was seen goes into
    ``evidence`` (JSON-clean, no secrets) and becomes result fields.
    """

    def __init__(self, message: str, **evidence: Any) -> None:
        super().__init__(message)
        self.message = message
        self.evidence: Dict[str, Any] = evidence
