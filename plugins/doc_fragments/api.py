# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of everything that talks to the Octopus Server's REST API. Must be kept in step with plugin_utils/_api.py."""

    # What needs a Server takes this and CONNECTION.
    DOCUMENTATION = r"""
options:
  server_url:
    description:
      - Address of the Octopus Server's web portal, with its virtual directory if it has one, such as V(https://octopus.example.com).
      - A redirect is not followed, because the API key would travel along; give the final address.
    type: str
    required: true
  api_key:
    description:
      - API key of a user with rights in all the spaces in question. A key only sees the spaces that its user has rights in.
      - It goes into a request header and nowhere else.
    type: str
    required: true
"""

    CONNECTION = r"""
options:
  validate_certs:
    description: Whether the portal's HTTPS certificate is checked. It is not the certificate that Tentacles pin.
    type: bool
    default: true
  ca_path:
    description: File of PEM certificates that the portal's HTTPS certificate is checked against, in place of the controller's own.
    type: path
  timeout:
    description: For how many seconds a single answer of the Server is waited for.
    type: int
    default: 30
  patience:
    description:
      - For how many seconds a question is repeated while the Server refuses connections, limits the rate or answers that it is starting.
    type: int
    default: 120
"""

    PROXIES = r"""
options:
  proxies:
    description:
      - C(username) and C(password) of the HTTP proxies that the Server's records name, by the proxy's name or id. The Server tells their
        addresses and not their passwords.
    type: dict
    default: {}
"""
