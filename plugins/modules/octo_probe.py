#!/usr/bin/python
# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: octo_probe
short_description: Ask a whole fleet of Tentacles on the wire who they are and whom they trust
version_added: 0.1.0
author:
  - the octofleet.octopus authors (@octofleet)
description:
  - Connects to each endpoint, from the controller or from an inventory host, sees which certificate it presents, and asks on behalf of each
    identity whether the endpoint trusts it. No job is run, and a Tentacle's log gets no error line.
  - Runs once for the whole play, whatever the number of hosts, in one process with hundreds of connections in flight.
  - An endpoint meets one connection at a time and at most five in a task.
  - What a Tentacle answers is what its running process trusts. Its configuration may have changed since it was started.
  - Works for listening Tentacles, and for the polling port of an Octopus Server (10943) with the certificate of a Tentacle.
options:
  endpoints:
    description:
      - Where to connect, in the order in which the result lists them. Take the addresses from the Server's records.
      - Either text, C(host:port) or the C(https://host:port/) of a record, or a dictionary.
      - The dictionary has C(address), a DNS name, an IP address or any of the texts above; C(port), V(10933) by default; C(name), under which
        the result shows the endpoint; and C(proxy).
      - C(proxy) is the HTTP proxy through which the Server reaches that Tentacle, a dictionary of C(host), C(port), V(80) by default, C(username)
        and C(password). It is asked for the way as the Server asks, by CONNECT, and resolves the name of the Tentacle. User and password are sent
        where both are given.
    type: list
    elements: raw
    required: true
  identities:
    description:
      - On whose behalf to ask, five at most.
      - A dictionary has C(pfx), the path of a PFX file on the controller; C(pfx_password), its password; and C(name), under which its verdicts
        are shown.
      - V(random) presents a certificate made for this task. A Tentacle that accepts it accepts anybody.
      - V(none) presents no certificate.
      - V(random) and V(none) are asked first, the others in the given order. Put the one that is expected to be accepted last.
      - Without identities the certificates of the endpoints are looked at, and no question of trust is asked.
    type: list
    elements: raw
    default: []
  control:
    description:
      - Whether V(refused) needs an accepted control. A Tentacle that is stopping closes a connection exactly as one that refuses a certificate.
      - With V(true) a refusal counts if the same endpoint accepted another identity afterwards; otherwise the verdict is V(unproven).
        An identity that was accepted too early is asked once more for that.
    type: bool
    default: true
  in_flight:
    description: Number of connections open at the same time over all endpoints.
    type: int
    default: 256
  connect_timeout:
    description: Seconds for a connection to be accepted, and for a name to be resolved.
    type: float
    default: 5.0
  reply_timeout:
    description: Seconds for the TLS handshake and the answer together, and again for the goodbye.
    type: float
    default: 10.0
  threads:
    description: Number of threads that share the endpoints. V(0) takes as many as the controller has cores, four at most, and one for a small fleet.
    type: int
    default: 0
  vantage:
    description:
      - From where the connections are made, V(controller) or the name of an inventory host with Python, for networks that the controller does
        not reach. Nothing else needs to be installed there, and O(threads) counts its cores.
      - The host is connected to as its login user, without C(become). Private keys and the passwords of proxies go there on standard input, so
        its connection has to support pipelining (C(ssh) and C(local) do); keys lie in its memory only, which takes Linux. On another system
        it needs cryptography and pyOpenSSL, unless no identity has a key.
    type: str
    default: controller
  hand:
    description: Internal. What the action asks of the module on O(vantage); a task that sets it is refused.
    type: str
extends_documentation_fragment:
  - octofleet.octopus.attributes
attributes:
  check_mode:
    support: full
    details: Changes nothing in any mode.
  diff_mode:
    support: N/A
    details: Changes nothing.
  platform:
    platforms: posix
    support: full
    details: Runs on the controller, and on O(vantage).
notes:
  - Needs the strategy V(linear), since it runs once for all hosts. In a play with C(serial) it runs once for each batch.
  - Private keys stay in memory, that of the controller and that of O(vantage).
requirements:
  - cryptography >= 42 and pyOpenSSL >= 24.1 on the controller
seealso:
  - module: octofleet.octopus.octo_trust
"""

EXAMPLES = r"""
- name: See which certificate each Tentacle presents
  octofleet.octopus.octo_probe:
    endpoints:
      - web-01.example.com:10933
      - name: web-02
        address: 10.0.0.7
        port: 10933
  register: octopus_identities

- name: Ask whether all Tentacles trust the new certificate, and nobody else
  octofleet.octopus.octo_probe:
    endpoints:
      - https://web-01.example.com:10933/
      - https://web-02.example.com:10933/
    identities:
      - random
      - none
      - name: new
        pfx: /var/lib/octopus/new.pfx
        pfx_password: "{{ octopus_backup_password }}"
  register: octopus_matrix

- name: Look from a host inside, at a Tentacle behind a proxy
  octofleet.octopus.octo_probe:
    endpoints:
      - address: https://web-03.example.com:10933/
        proxy:
          host: proxy.example.com
          port: 3128
          username: octopus
          password: "{{ vault_proxy_password }}"
    vantage: bastion.example.com
"""

RETURN = r"""
endpoints:
  description: One row for each endpoint, in the order of O(endpoints).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the endpoint, its address if it was given none.
      type: str
      sample: web-02
    address:
      description: Host and port of the endpoint.
      type: str
      sample: 10.0.0.7:10933
    presented:
      description: Thumbprint of the certificate that the endpoint presents; null if TLS did not come up.
      type: str
      sample: 6D1F0E7B3C2A49B8A17C5E90D4F3286B7A54A07C
    tls:
      description: Version of TLS; null if it did not come up.
      type: str
      sample: TLSv1.3
    verdicts:
      description:
        - A dictionary for each identity by its name, with C(verdict), C(elapsed_ms) and, where there is more to say than
          C(error), C(detail).
        - V(accepted) and V(refused) answer the question of trust. V(identity) says that none was asked. V(unproven) is a refusal without a control.
        - V(not_asked) means that the port asks for no client certificate, so it is no Tentacle or something stands in between.
        - V(proxy_denied) means that the proxy wants a user and a password, or does not accept those that were given; V(proxy_failed) that it
          did not open the way for another reason. Nothing is known of the endpoint then.
        - V(dns), V(connection_refused), V(unreachable), V(timeout), V(not_tls), V(closed), V(reset), V(tls_failed) and V(unexpected) say what kept
          the question from being answered. None of them is a refusal.
      type: dict
      sample: {"new": {"verdict": "accepted", "elapsed_ms": 12}, "random": {"verdict": "refused", "elapsed_ms": 9}}
    elapsed_ms:
      description: Milliseconds that the connections to this endpoint took until their answers, added up.
      type: int
      sample: 21
    error:
      description: What is wrong with the endpoint as a whole, or why it could not be judged; null if nothing is.
      type: str
identities:
  description: Thumbprint presented by name of identity; null for V(none).
  returned: success
  type: dict
  sample: {"new": "A94B0F2C7E1D3588C6F4B2907A3E5D1C8F60B7E2", "none": null}
counts:
  description: How often each verdict was given, by name of identity.
  returned: success
  type: dict
  sample: {"new": {"accepted": 20}, "random": {"refused": 20}}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import carriage
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.options import SPEC


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    if module.params["hand"] is None:
        module.fail_json(msg="octo_probe starts on the controller, by its action plugin of the same name. Call it as octofleet.octopus.octo_probe.")
    try:
        module.exit_json(changed=False, sights=carriage.answer(module.params["hand"]))
    except OctoError as error:
        module.fail_json(msg=error.message, **error.evidence)


if __name__ == "__main__":
    main()
