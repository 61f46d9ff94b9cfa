# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two ways in which something does not happen on a Windows of the lab."""

from __future__ import annotations


class Refused(Exception):
    """Windows, or a person who knows it, would never do this: it fails the test loudly, whatever the product makes of failures."""


class Failed(Exception):
    """It failed as it would on Windows, with the text that .NET has for it."""
