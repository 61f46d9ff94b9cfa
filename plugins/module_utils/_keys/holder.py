# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Who has the certificate that is kept: an Octopus Server in its database, or a Tentacle in its configuration, and the words for each."""

from __future__ import annotations

from typing import NamedTuple, Optional

from ansible_collections.octofleet.octopus.plugins.module_utils._keys import vendor


class Holder(NamedTuple):
    name: str
    place: str  # where it has the certificate
    exported: str  # the certificate that is read from there
    program: str
    subject: str  # common name that the vendor gives its new certificates
    doubt: str  # what to ask oneself when it has another certificate than was said
    caution: str  # when somebody else has changed it
    afterwards: str  # what is left to do after an import
    meanwhile: str  # what to leave alone as long as it is not known what is there
    present: Optional[str] = None  # the thumbprint that it has, where that shows without the key


SERVER = Holder(
    name="the Octopus Server",
    place="the Octopus Server's database",
    exported="the certificate that the Octopus Server exported",
    program=vendor.SERVER,
    subject="Octopus Portal",
    doubt="Is this node of that Server? Is a certificate imported that no node has loaded yet?",
    caution="Somebody else changed it: find out who, and restart no node before that, or it presents what the Tentacles do not trust.",
    afterwards="Its nodes present it after their restart.",
    meanwhile="Restart no node: each still presents what it loaded.",
)


def tentacle(instance: str, configuration: str, present: str) -> Holder:
    return Holder(
        name=f"the Tentacle {instance}",
        place=f"the configuration {configuration}",
        exported=f"the certificate in {configuration}",
        program=vendor.TENTACLE,
        subject="Octopus Tentacle",
        doubt="Leave `thumbprint` out to back up what the Tentacle has.",
        caution="Somebody else changed it: find out who, and do not restart the Tentacle before that, or it presents what no Server has on record.",
        afterwards=(
            f"The running process of {instance} presents the old one until its restart (octofleet.octopus.octo_service); from then on the Server refuses"
            " this Tentacle until its record there has the new thumbprint."
        ),
        meanwhile="Do not restart the Tentacle: its process still presents what it loaded.",
        present=present,
    )
