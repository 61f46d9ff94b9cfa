# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stand-in for the vendor's Tentacle on Linux (contracts/tentacle-cli.md, contracts/measured-tentacle.md, contracts/golden/)."""
