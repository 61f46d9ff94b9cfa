# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What each attribute means; a module adds how far it has it."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and says what would change, from the same reading, without changing anything.
  diff_mode:
    description: Returns what has changed, or in C(check_mode) would change, when in diff mode.
  platform:
    description: Target operating systems or families that the module works on.
"""

    ACTIONGROUP_TENTACLE = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/octofleet.octopus.tentacle) in C(module_defaults) to set the options that these modules share.
    support: full
    membership:
      - octofleet.octopus.tentacle
"""

    ACTIONGROUP_API = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/octofleet.octopus.api) in C(module_defaults) to set the options that these modules share.
    support: full
    membership:
      - octofleet.octopus.api
"""
