# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The loop under the witness, and under everything in the lab that looks at many endpoints."""

from __future__ import annotations

import threading

from lab.wire.fronts import Silent
from lab.witness.loop import Loop
from lab.witness.wire import Said, Sight, anonymous, look


def test_a_conversation_that_ends_by_its_limit_may_be_the_last() -> None:
    mute, loop = Silent("127.0.0.1", 0), Loop()
    seen: list[Sight] = []

    def done(sight: Sight) -> None:
        seen.append(sight)
        loop.end()

    loop.begin(look((mute.host, mute.port), anonymous()), 0.2, done)
    running = threading.Thread(target=loop.run, daemon=True)
    running.start()
    running.join(10)
    mute.stop()
    assert not running.is_alive()
    assert [sight.said for sight in seen] == [Said.ABSENT]
