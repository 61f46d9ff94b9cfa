# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a bench measures beside what it is to reach (design/performance.md 1.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple


class Figure(NamedTuple):
    name: str
    value: float
    target: float
    at_least: bool = False  # otherwise the target is the most that it may be

    @property
    def short(self) -> bool:
        return self.value < self.target if self.at_least else self.value > self.target

    def line(self) -> str:
        target = f"{'>=' if self.at_least else '<='} {self.target:g}"
        return f"{self.name:<70} {self.value:>9.2f} {target:>9}  {'SHORT' if self.short else 'pass'}"


class Section(NamedTuple):
    title: str
    figures: list[Figure]
    notes: list[str]


Report = Callable[[str, list[Figure], list[str]], None]


def table(sections: Iterable[Section]) -> Iterator[str]:
    yield f"{'':<72} {'measured':>9} {'target':>9}"
    for section in sections:
        yield section.title
        yield from (f"  {figure.line()}" for figure in section.figures)
        yield from (f"      {note}" for note in section.notes)
