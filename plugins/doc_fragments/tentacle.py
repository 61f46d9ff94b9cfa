# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of everything that looks at the Tentacles of a host. Must be kept in step with module_utils/_argspec.py."""

    DOCUMENTATION = r"""
options:
  machine_configuration_home:
    description:
      - Parent of the instance index C(Tentacle/Instances).
      - Handed on to the vendor's commands as their own variable C(TentacleMachineConfigurationHomeDirectory).
      - On Windows V(C:\\ProgramData\\Octopus) unless it is set.
    type: path
    default: /etc/octopus
  machine_id_file:
    description:
      - File with the machine id under which the Tentacle's certificate is encrypted.
      - Not looked at on Windows, which keeps the key of that encryption to itself.
    type: path
    default: /etc/machine-id
  executable:
    description:
      - Program and leading arguments that reach the vendor's C(Tentacle). A service that is known tells its executable itself.
      - On Windows, unless it is set, the program in the folder that the vendor's installer has left in the registry.
    type: list
    elements: str
    default: [/opt/octopus/tentacle/Tentacle]
  service:
    description:
      - Unit of the service, if it has not the name that the vendor gives it, which is the name of the instance with hyphens for spaces.
      - C({instance}) in it stands for that name, for hosts with several instances.
      - >-
        On Windows the name of the service. The vendor's are C(OctopusDeploy Tentacle) for the instance V(Tentacle), and
        C(OctopusDeploy Tentacle: <instance>) for others.
    type: str
  restart_command:
    description:
      - Program and arguments that restart the Tentacle, for hosts whose service manager is neither systemd nor that of Windows.
      - Without it C(systemctl restart) of the unit, C(systemctl) being found in E(PATH); on Windows an order to the service control manager.
    type: list
    elements: str
"""

    RESTART = r"""
options:
  permit:
    description:
      - What M(octofleet.octopus.octo_rotation) returned as C(permit) to the gate of the wave, as it is. Rotations need it; work by hand has none.
      - It is checked on the controller for age, run, step and host. What reaches the host is a dictionary with C(step); C(edges), the names of
        the instances that are meant, V(*) for all; and C(new), the thumbprint that must stay trusted.
    type: dict
  timeout:
    description:
      - Seconds to wait, after an order to the service, for the proof that it was carried out.
      - Without it ten times what fast hardware takes, which grows with the number of certificates in the account's store, and V(15) at least;
        for a node of an Octopus Server V(300).
    type: float
  lock_timeout:
    description: Seconds to wait for another run, and for commands of the vendor, that are at work on the same configuration.
    type: float
    default: 60.0
  allow_upgrade:
    description: Whether a Tentacle may be restarted whose executable is newer than its process, so that the restart is an upgrade, too.
    type: bool
    default: false
"""
