# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The witness: an independent process that plays every Server node against every Tentacle and knows nothing of phases.

Its report is the only verdict on a rotation that counts (design/rotation-safety.md 6.2, layer F).
"""
