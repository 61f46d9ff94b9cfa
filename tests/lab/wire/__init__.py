# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Halibut on the wire: the listener, the caller and the poller that the stand-ins share (contracts/halibut-wire.md 12)."""
