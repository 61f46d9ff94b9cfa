# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page of the audit in a real browser (issue 5, C.4)."""

from __future__ import annotations

import copy
import csv
import io
import itertools
import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.audit import audit
from browser.conftest import Show
from browser.devtools import Browser
from unit.audit import estates, samples
from unit.audit.samples import document, thumbprint
from unit.audit.test_judge import CASES

AUDIT = document(120)
TENTACLES = [row["id"] for row in AUDIT["tentacles"]]
OURS = thumbprint("ours")
COUNTS = "[document.querySelector('#tab-findings span').textContent, document.querySelector('#tab-matrix span').textContent].map(Number)"
NAMES = "[...document.querySelectorAll('.grid tbody th')].map((cell) => cell.dataset.id)"
FOCUS = "[document.activeElement.dataset.row, document.activeElement.dataset.column].map(Number)"
SETTLED = "return new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))"


def counts(browser: Browser) -> list[int]:
    return list(browser.run(COUNTS))


def type_text(browser: Browser, text: str) -> None:
    browser.run("document.getElementById('search').focus()")
    browser.send("Input.insertText", text=text)


def expected(document_: dict[str, Any], **wanted: set[str]) -> int:
    """How many findings a filter leaves, counted by the test itself."""
    keys = {"code": "code", "severity": "severity", "host": "host", "space": "spaces", "environment": "environments"}

    def has(finding: dict[str, Any], facet: str, values: set[str]) -> bool:
        value = finding[keys[facet]]
        return bool(values & (set(value) if isinstance(value, list) else {value}))

    return sum(
        all(has(finding, facet, values) for facet, values in wanted.items()) for finding in document_["findings"] if finding["kind"] == "tentacle"
    )


# ---- numbers and honesty


def test_the_numbers_stand_at_the_top(show: Show) -> None:
    browser = show(AUDIT)
    tiles = browser.run(
        "Object.fromEntries([...document.querySelectorAll('#numbers button')].map((tile) => [tile.dataset.name, Number(tile.querySelector('b').textContent)]))"
    )
    assert tiles == {name: AUDIT["counts"][name] for name in tiles}
    assert set(tiles) == {"critical", "warning", "info", "accepted", "fine", "not_judged"}
    assert counts(browser) == [len(AUDIT["findings"]), 120]
    worst = sum(row["severity"] == "critical" for row in AUDIT["tentacles"])
    assert f"{AUDIT['counts']['critical']} critical finding" in browser.run("document.getElementById('verdict').textContent")
    assert f"{worst} of 120 Tentacles" in browser.run("document.getElementById('verdict').textContent")


def test_the_document_arrives_whole(show: Show) -> None:
    """What the script unpacks is shown nowhere as a whole; its lists are, and they are the document's."""
    browser = show(AUDIT, "#view=matrix&sort=name")
    text = browser.run("document.getElementById('copy-csv').click(); return navigator.clipboard.readText()")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [line["tentacle"] for line in lines] == TENTACLES
    columns = {name.split()[-1]: name for name in lines[0] if len(name.split()[-1]) == 40}
    for line, row in zip(lines, AUDIT["tentacles"], strict=True):
        assert {cell: line[name] for cell, name in columns.items()} == {cell: said["state"] for cell, said in row["cells"].items()}
        assert (line["severity"], line["identity"], line["presented"]) == (row["severity"], row["identity"], row["presented"] or "")


def test_sources_that_were_not_read_are_said_so(show: Show) -> None:
    browser = show(document(30, asked=("wire",)))
    cards = browser.run("[...document.querySelectorAll('.source')].map((card) => card.textContent)")
    assert "of 30 read" in cards[0]
    assert all("Not read: not asked for" in card for card in cards[1:])
    assert "Not asked: disk, database, process." in browser.run("document.getElementById('but').textContent")
    browser.run("location.hash = 'view=codes'; return new Promise((done) => setTimeout(done, 0))")
    line = browser.run("[...document.querySelectorAll('#panel-codes tr')].find((line) => line.textContent.startsWith('STALE_RECORD')).textContent")
    assert "not judged" in line
    assert "needs the database, which was not asked for" in line


def test_nothing_read_is_not_fine(show: Show) -> None:
    browser = show(document(20, asked=()), "#view=matrix")
    assert browser.run("document.getElementById('verdict').textContent") == "Nothing was read, so nothing was judged."
    cells = browser.run("[...document.querySelectorAll('.grid .cell')].map((cell) => [cell.className, getComputedStyle(cell).backgroundColor])")
    # No colour where there is no source: not even a transparent one that lets a colour of the row through.
    assert {tuple(cell) for cell in cells} == {("cell not_read", "rgba(0, 0, 0, 0)")}
    assert not browser.run("[...document.querySelectorAll('.grid .fine, .share .fine')].length")


def test_each_state_has_a_colour_a_symbol_and_a_word(show: Show) -> None:
    browser = show(AUDIT, "#view=matrix")
    legend = browser.run(
        "[...document.querySelectorAll('.legend .cell')].map((cell) => [cell.lastChild.textContent, cell.firstChild.textContent, getComputedStyle(cell).color])"
    )
    assert [line[0] for line in legend] == ["trusted", "not trusted", "not trusted", "after restart", "until restart", "sources differ", "not read"]
    assert len({(line[1]) for line in legend}) == 6
    assert len({(line[2]) for line in legend}) == 7


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_what_the_judge_says_is_shown(show: Show, one: Any) -> None:
    """The audit's own documents, one for each planted fault."""
    world = estates.world()
    one.spoil(world)
    audited = audit(world.facts(samples.SOURCES))
    browser = show(audited)
    assert counts(browser) == [len(audited["findings"]), len(audited["tentacles"])]
    assert browser.run("document.querySelectorAll('.finding').length") == len(audited["findings"])
    assert browser.run("[...document.querySelectorAll('.group-head h3')].every((title) => title.textContent)")
    for view in ("servers", "codes", "matrix"):
        browser.run(f"document.getElementById('tab-{view}').click()")
    rows = {row["id"]: row for row in audited["tentacles"]}
    drawn = browser.run(
        "[...document.querySelectorAll('.grid tbody th')].map((cell) => [cell.dataset.id, cell.className, cell.nextSibling.textContent])"
    )
    assert {name for name, _severity, _worst in drawn} == set(rows)
    for name, severity, worst in drawn:
        assert severity == rows[name]["severity"]
        assert (worst in ("fine", "not judged")) == (severity in ("fine", "not_judged")), name
    browser.run("document.querySelector('.grid tbody td[data-column=\"5\"]').click()")
    assert browser.run("document.getElementById('drawer').hidden") is False
    assert [event["params"] for event in browser.events if event["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")] == []


# ---- filters


@pytest.mark.parametrize(
    "wanted",
    [
        {"severity": {"critical"}},
        {"code": {"GHOST_PIN", "WEAK_CERT"}},
        {"space": {"Finance"}, "severity": {"warning"}},
        {"environment": {"Staging"}, "space": {"Default", "Ops"}, "severity": {"info", "critical"}},
        {"host": {AUDIT["tentacles"][0]["host"]}, "severity": {"info"}},
    ],
    ids=["severity", "codes", "space and severity", "environment, spaces and severities", "host and severity"],
)
def test_filters_together_leave_what_fits_all_of_them(show: Show, wanted: dict[str, set[str]]) -> None:
    audit = {**AUDIT, "findings": [one for one in AUDIT["findings"] if one["kind"] == "tentacle"]}
    browser = show(audit, "#" + "&".join(f"{facet}={','.join(sorted(values))}" for facet, values in wanted.items()))
    assert counts(browser)[0] == expected(audit, **wanted) > 0
    shown = browser.run("[...document.querySelectorAll('.finding')].map((one) => one.dataset.id)")
    by_id = {one["id"]: one for one in audit["findings"]}
    assert all(expected({"findings": [by_id[one]]}, **wanted) == 1 for one in shown)
    # The Tentacles that are left are those of the findings that are left, but for the accepted ones.
    assert counts(browser)[1] <= len({by_id[one]["subject"] for one in by_id})


def test_a_facet_is_chosen_with_the_mouse_and_stands_in_the_address(show: Show) -> None:
    browser = show(AUDIT)
    browser.run("document.querySelector('[data-facet=space] summary').click(); " + SETTLED)
    options = browser.run("[...document.querySelectorAll('[data-facet=space] .option')].map((one) => one.querySelector('.name').textContent)")
    assert options == ["Default", "Finance", "Ops"]
    browser.run("document.querySelector('[data-facet=space] input[value=Finance]').click()")
    assert browser.run("location.hash") == "#space=Finance"
    assert browser.run("document.querySelector('#chips').textContent").startswith("Space: Finance")
    left = counts(browser)
    again = show(AUDIT, "#space=Finance")
    assert counts(again) == left
    assert 0 < left[1] < 120
    again.run("document.querySelector('.chip.clear').click()")
    assert counts(again) == [len(AUDIT["findings"]), 120]


def test_an_address_that_is_changed_changes_the_view(show: Show) -> None:
    browser = show(AUDIT)
    browser.run("location.hash = 'view=matrix&q=web'; " + SETTLED)
    assert browser.run("document.getElementById('search').value") == "web"
    assert browser.run("document.getElementById('panel-matrix').hidden") is False
    assert all(name.startswith("web") for name in browser.run(NAMES))


def test_free_text_finds_names_thumbprints_and_sentences(show: Show) -> None:
    row = AUDIT["tentacles"][7]
    browser = show(AUDIT, "#view=matrix")
    for text in (row["host"], row["presented"], row["records"][0]["id"].lower() + " " + row["instance"].upper()):
        browser.run("document.getElementById('search').value = ''")
        type_text(browser, text)
        assert row["id"] in browser.run(NAMES)
        assert counts(browser)[1] < 12
        assert f"q={quote(text, safe='')}" in browser.run("location.hash")
    ghost = thumbprint("ghost 1")
    browser.run("document.getElementById('search').value = ''")
    type_text(browser, ghost)
    trusting = {one["id"] for one in AUDIT["tentacles"] if one["cells"][ghost]["state"] in ("trusted", "pending", "disagree")}
    named = {one["subject"] for one in AUDIT["findings"] if ghost in one["seen"] + one["remedy"]} - {"the fleet", "Default"}
    assert set(browser.run(NAMES)) <= trusting | named
    assert counts(browser)[1] == len(trusting | named)


def test_a_tile_filters_by_what_it_counts(show: Show) -> None:
    browser = show(AUDIT, "#view=matrix")
    browser.run("document.querySelector('#numbers [data-name=fine]').click()")
    assert counts(browser) == [0, AUDIT["counts"]["fine"]]
    assert browser.run("document.querySelector('#numbers [data-name=fine]').getAttribute('aria-pressed')") == "true"
    assert {row["severity"] for row in AUDIT["tentacles"] if row["id"] in browser.run(NAMES)} == {"fine"}


def test_what_is_new_and_what_is_gone(show: Show) -> None:
    browser = show(AUDIT)
    assert browser.run("[...document.querySelectorAll('#changes li')].length") == len(AUDIT["changes"]["gone"])
    browser.run("document.querySelector('#changes .link').click()")
    assert counts(browser)[0] == len(AUDIT["changes"]["new"]) > 0
    assert browser.run("[...document.querySelectorAll('.finding')].every((one) => one.querySelector('.tag.new'))")


# ---- findings


def test_findings_are_grouped_worst_first_and_unfold(show: Show) -> None:
    browser = show(AUDIT)
    groups = browser.run("[...document.querySelectorAll('.group')].map((one) => one.getAttribute('aria-label').split(':')[0])")
    assert set(groups) == {one["code"] for one in AUDIT["findings"]}
    ranks = [("critical", "warning", "info").index(AUDIT["codes"][code]["severity"]) for code in groups]
    assert ranks == sorted(ranks)
    many = sum(one["code"] == "KEY_COPIES" for one in AUDIT["findings"])
    drawn = "document.querySelectorAll('[aria-label^=KEY_COPIES] .finding, .finding[aria-label^=KEY_COPIES]').length"
    assert browser.run(drawn) < many
    browser.run("[...document.querySelectorAll('.group[aria-label^=KEY_COPIES] .group-more button')].pop().click()")
    assert browser.run(drawn) == many


def test_a_finding_has_its_sentence_its_marks_and_a_link_to_its_page(show: Show) -> None:
    accepted = next(one for one in AUDIT["findings"] if one["accepted"])
    browser = show(AUDIT, f"#code={accepted['code']}")
    box = f"document.querySelector('.finding[data-id=\"{accepted['id']}\"]')"
    text = browser.run(f"{box}.textContent")
    assert accepted["seen"] in text
    assert accepted["accepted"]["reason"] in text
    assert f"accepted until {accepted['accepted']['until']}" in text
    link = browser.run(f"(({{ href, target, rel }}) => ({{ href, target, rel }}))({box}.closest('.group').querySelector('a'))")
    assert link == {
        "href": f"https://github.com/octofleet/octopus/blob/main/docs/docsite/rst/codes/{accepted['code']}.rst",
        "target": "_blank",
        "rel": "noopener noreferrer",
    }


def test_the_copy_button_copies_what_is_to_be_run(show: Show) -> None:
    one = next(one for one in AUDIT["findings"] if one["code"] == "KEY_EXPOSED")
    browser = show(AUDIT, "#code=KEY_EXPOSED")
    assert browser.run("document.querySelector('.finding .copy').click(); return navigator.clipboard.readText()") == one["remedy"].split("`")[1]
    assert browser.run("document.getElementById('said').textContent") == "Remedy copied"
    by_hand = next(one for one in AUDIT["findings"] if one["code"] == "DELETION_RISK")
    browser = show(AUDIT, "#code=DELETION_RISK")
    assert browser.run("document.querySelector('.finding .copy').click(); return navigator.clipboard.readText()") == by_hand["remedy"]


def test_a_filtered_list_is_copied_for_a_spreadsheet(show: Show) -> None:
    audit = copy.deepcopy(AUDIT)
    critical = [one for one in audit["findings"] if one["severity"] == "critical"]
    critical[0]["seen"] = '=HYPERLINK("http://evil")'
    browser = show(audit, "#severity=critical")
    text = browser.run("document.getElementById('copy-csv').click(); return navigator.clipboard.readText()")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert sorted(line["id"] for line in lines) == sorted(one["id"] for one in critical)
    assert next(line for line in lines if line["id"] == critical[0]["id"])["seen"].startswith("'=")


# ---- the matrix


def test_the_matrix_names_certificates_short_and_whole(show: Show) -> None:
    browser = show(AUDIT, "#view=matrix")
    head = browser.run(
        "[...document.querySelectorAll('.grid thead .column')]"
        ".map((one) => [one.querySelector('.label').textContent, one.querySelector('.tp').title, one.title])"
    )
    assert [(label, whole) for label, whole, _title in head] == [(one["label"], one["thumbprint"]) for one in AUDIT["certificates"]]
    assert all(whole in title for _label, whole, title in head)
    short = browser.run("document.querySelector('.grid thead .tp').getBoundingClientRect().width")
    assert short < 120


def test_a_cell_tells_what_each_source_said(show: Show) -> None:
    row, thumb = next((row, thumb) for row in AUDIT["tentacles"] for thumb, cell in row["cells"].items() if cell["state"] == "pending")
    browser = show(AUDIT, f"#view=matrix&q={row['host']}")
    place = browser.run(NAMES).index(row["id"])
    column = 5 + [one["thumbprint"] for one in AUDIT["certificates"]].index(thumb)
    cell = f'document.querySelector(\'td[data-row="{place}"][data-column="{column}"]\')'
    assert browser.run(f"{cell}.textContent").endswith("after restart")
    browser.run(f"{cell}.focus()")
    told = browser.run("document.querySelector('.detail').textContent")
    assert all(word in told for word in (row["id"], thumb, "Wire: refuses it", "Disk: lists it", "Process: has not loaded it"))
    browser.run(f"{cell}.click()")
    assert browser.run("document.getElementById('drawer').hidden") is False
    assert thumb in browser.run("document.querySelector('#drawer tr.asked .tp').textContent")
    assert browser.run("location.hash").endswith(f"open={quote(row['id'], safe='')}&certificate={thumb}")


def test_the_details_name_what_could_not_be_read(show: Show) -> None:
    row = next(row for row in AUDIT["tentacles"] if row["sources"]["wire"]["state"] == "not_read")
    browser = show(AUDIT, f"#open={quote(row['id'])}")
    assert f"not read: {row['sources']['wire']['reason']}" in browser.run("document.getElementById('drawer').textContent")


def test_a_refusal_of_what_our_server_presents_stands_out(show: Show) -> None:
    audit = copy.deepcopy(AUDIT)
    ghost, dr = thumbprint("ghost 0"), thumbprint("dr")
    row = audit["tentacles"][0]
    row["cells"] = {one: {"state": "not_trusted", "wire": "no", "disk": "no", "process": "no"} for one in row["cells"]}
    browser = show(audit, f"#view=matrix&q={row['host']}")
    alarms = browser.run("[...document.querySelectorAll('.grid tbody .alarm')].map((one) => Number(one.closest('td').dataset.column))")
    assert alarms == [5]
    assert [one["thumbprint"] for one in audit["certificates"]].index(OURS) == 0
    assert {ghost, dr} <= set(row["cells"])


# ---- keyboard


def test_the_slash_goes_to_the_search_and_escape_leaves_it(show: Show) -> None:
    browser = show(AUDIT)
    browser.press("/")
    assert browser.run("document.activeElement.id") == "search"
    browser.send("Input.insertText", text="web")
    assert browser.run("location.hash") == "#q=web"
    browser.press("Escape")
    assert browser.run("[document.activeElement.id, location.hash]") == ["", ""]


def test_tab_walks_in_the_order_of_the_page(show: Show) -> None:
    browser = show(AUDIT, "#view=matrix")
    stops = []
    for _stop in range(30):
        browser.press("Tab")
        stops.append(
            browser.run(
                "document.activeElement.id || document.activeElement.className || document.activeElement.tagName + (document.activeElement.dataset.row || '')"
            )
        )
    wanted = ["skip", "theme", "print", "help", "number critical", "tab-matrix", "search", "copy-link", "copy-csv", "TH0"]
    places = [stops.index(one) if one in stops else stops.index(next(stop for stop in stops if stop.startswith(one))) for one in wanted[:-1]]
    assert places == sorted(places)
    assert browser.run("document.querySelectorAll('.grid [tabindex=\"0\"]').length") == 1


def test_arrows_walk_through_the_matrix(show: Show) -> None:
    browser = show(AUDIT, "#view=matrix")
    browser.run("document.querySelector('.grid [tabindex=\"0\"]').focus()")
    steps = [("ArrowDown", [1, 0]), ("ArrowRight", [1, 1]), ("End", [1, 10]), ("PageDown", None), ("Home", None), ("ArrowLeft", None)]
    for key, where in steps:
        browser.press(key)
        assert where is None or browser.run(FOCUS) == where
    browser.press("End", modifiers=2)
    assert browser.run(FOCUS) == [119, 10]
    assert browser.run(
        "((box, room) => box.bottom <= room.bottom + 1 && box.top >= room.top - 1)"
        "(document.activeElement.getBoundingClientRect(), document.querySelector('.scroller').getBoundingClientRect())"
    )
    browser.press("Home", modifiers=2)
    browser.press("ArrowUp")
    assert browser.run(FOCUS) == [-1, 0]
    browser.press("Enter")  # sorts by name
    assert browser.run(NAMES)[0] == TENTACLES[0]
    browser.press("ArrowDown")
    browser.press("Enter")
    assert browser.run("document.getElementById('drawer-title').textContent") == TENTACLES[0]
    browser.press("Escape")
    assert browser.run("document.getElementById('drawer').hidden") is True
    assert browser.run(FOCUS) == [0, 0]


def test_the_window_follows_where_it_is_scrolled_to(show: Show) -> None:
    browser = show(document(1000), "#view=matrix&sort=name")
    names = sorted(row["id"] for row in document(1000)["tentacles"])
    for place in (500, 990, 3):
        browser.run(f"document.querySelector('.scroller').scrollTop = {place} * 36; {SETTLED}")
        browser.run(SETTLED)
        drawn = browser.run(NAMES)
        assert names[place] in drawn
        assert names.index(drawn[0]) <= place
        assert len(drawn) < 60
        top = browser.run(
            f"document.querySelector('th[data-id=\"{names[place]}\"]').getBoundingClientRect().top"
            " - document.querySelector('.grid thead th').getBoundingClientRect().bottom"
        )
        assert -1 <= top < (1 if place < 900 else 1000)


def test_c_copies_the_thumbprint_of_the_column(show: Show) -> None:
    browser = show(AUDIT, "#view=matrix")
    browser.run('document.querySelector(\'td[data-row="0"][data-column="5"]\').focus()')
    browser.press("c")
    assert browser.run("return new Promise((done) => setTimeout(done, 0)).then(() => navigator.clipboard.readText())") == OURS


def test_arrows_walk_through_findings_and_views(show: Show) -> None:
    browser = show(AUDIT)
    browser.run("document.querySelector('.finding[tabindex=\"0\"]').focus()")
    browser.press("ArrowDown")
    ids = browser.run("[...document.querySelectorAll('.finding')].map((one) => one.dataset.id)")
    assert browser.run("document.activeElement.dataset.id") == ids[1]
    browser.press("Enter")
    assert browser.run("document.activeElement.className") == "ghost close"
    browser.press("Escape")
    assert browser.run("document.getElementById('drawer').hidden") is True
    browser.run("document.getElementById('tab-findings').focus()")
    browser.press("ArrowRight")
    assert browser.run("[document.activeElement.id, document.activeElement.getAttribute('aria-selected')]") == ["tab-matrix", "true"]
    browser.press("4")
    assert browser.run("document.getElementById('panel-codes').hidden") is False


# ---- light, dark, paper


def test_light_and_dark_follow_the_system_and_the_button(show: Show) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    light = show(AUDIT, scheme="light").run(paper)
    browser = show(AUDIT, scheme="dark")
    dark = browser.run(paper)
    assert light != dark
    browser.run("document.getElementById('theme').click()")
    assert browser.run(paper) == light
    browser.run("document.getElementById('theme').click()")
    assert browser.run(paper) == dark
    assert show(AUDIT, scheme="light").run(paper) == dark  # it is remembered
    browser.run("localStorage.clear()")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["findings", "matrix", "servers", "codes"])
def test_every_text_can_be_read_on_its_ground(show: Show, scheme: str, view: str) -> None:
    """WCAG AA: 4.5 to 1 for all text."""
    browser = show(AUDIT, f"#view={view}", scheme)
    assert browser.run(_CONTRAST) == []


def test_paper_has_every_row_and_no_controls(show: Show, tmp_path: Path) -> None:
    browser = show(AUDIT, scheme="dark")
    text = printed(browser, tmp_path)
    words = set(text.split())
    assert {name for name in TENTACLES if name not in words} == set()
    squeezed = squeeze(text)
    for one in AUDIT["findings"]:
        assert squeeze(one["seen"]) in squeezed
        # A command has a line of its own, which pdftotext may tell apart from its sentence.
        assert all(squeeze(piece) in squeezed for piece in one["remedy"].split("`"))
    assert "Show all" not in text
    assert "Clear all" not in text
    assert squeezed.index("Findings") < squeezed.index("Trustmatrix")
    # Afterwards it is a page for a screen again.
    assert browser.run("document.querySelectorAll('.finding').length") < len(AUDIT["findings"])


def test_paper_has_only_what_the_filter_leaves_and_says_so(show: Show, tmp_path: Path) -> None:
    text = printed(show(AUDIT, "#space=Finance&view=matrix"), tmp_path)
    lines = set(text.split())
    fitting = {row["id"] for row in AUDIT["tentacles"] if "Finance" in row["spaces"]}
    assert fitting <= lines
    assert squeeze("Filtered by Space: Finance") in squeeze(text)
    exposed = {name for one in AUDIT["findings"] if one["kind"] == "fleet" for name in one["subjects"]}
    assert not (set(TENTACLES) - fitting - exposed) & lines


def squeeze(text: str) -> str:
    """Where lines end is the printer's, and pdftotext takes a hyphen there for one of its own."""
    return "".join(text.split()).replace("-", "")


def printed(browser: Browser, folder: Path) -> str:
    path = folder / "page.pdf"
    path.write_bytes(browser.pdf())
    return subprocess.run(["pdftotext", "-raw", str(path), "-"], check=True, capture_output=True, text=True).stdout


# ---- what it must not do


def test_no_text_of_the_document_breaks_out_and_nothing_is_asked_of_anybody(show: Show) -> None:
    hostile = '</script><img src=x onerror="window.broken=1"><b>\u2028\'`x <i>y</i>`'
    audit = json.loads(json.dumps(AUDIT).replace(json.dumps(AUDIT["tentacles"][3]["id"])[1:-1], json.dumps(hostile)[1:-1]))
    for one in audit["findings"][:5]:
        one.update(seen=hostile, remedy=hostile, subject=hostile, spaces=[hostile])
    audit["server_url"] = audit["servers"][0]["name"] = audit["certificates"][0]["label"] = hostile
    browser = show(audit, f"#open={quote(hostile)}")
    for view in ("matrix", "servers", "codes", "findings"):
        browser.run(f"document.getElementById('tab-{view}').click(); " + SETTLED)
    browser.pdf()
    assert browser.run("[window.broken, document.querySelectorAll('img, b b, i i').length]") == [None, 0]
    assert hostile in browser.run("document.getElementById('drawer-title').textContent")
    asked = [event["params"]["request"]["url"] for event in browser.events if event["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert [url for url in asked if url.startswith("file:")] == [browser.run("location.href.split('#')[0]")]
    assert [event["params"] for event in browser.events if event["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")] == []


def test_the_browser_itself_forbids_what_the_page_does_not_do(show: Show) -> None:
    browser = show(AUDIT)
    assert browser.run("return fetch('https://example.com/').then(() => 'sent', () => 'refused')") == "refused"
    assert browser.run("try { document.body.innerHTML = '<p>x</p>'; return 'set'; } catch (refusal) { return refusal.name; }") == "TypeError"
    assert browser.run("try { return window.eval('1'); } catch (refusal) { return refusal.name; }") == "EvalError"


def test_what_a_restart_gives_and_what_it_takes_look_different(show: Show) -> None:
    audit = document(30)
    gains, loses = audit["tentacles"][:2]
    gains["cells"] = {**gains["cells"], OURS: {"state": "pending", "wire": "no", "disk": "yes", "process": "no"}}
    loses["cells"] = {**loses["cells"], OURS: {"state": "pending", "wire": "yes", "disk": "no", "process": "yes"}}
    browser = show(audit, "#view=matrix&sort=name")
    cells = browser.run("[...document.querySelectorAll('td[data-column=\"5\"] .cell')].slice(0, 2).map((cell) => [cell.textContent, cell.className])")
    assert [text[1:].strip() for text, _classes in cells] == ["after restart", "until restart"]
    assert ["alarm" in classes for _text, classes in cells] == [False, True]


def test_nothing_read_and_the_warnings_that_say_why(show: Show) -> None:
    audit = document(20, asked=(), findings=0)
    audit["counts"]["warning"] = 20
    told = show(audit).run("document.getElementById('verdict').textContent")
    assert told == "Nothing was read, so nothing was judged. 20 warnings say why."


# ---- Many certificates


def with_ghosts(audit: dict[str, Any], count: int) -> list[str]:
    """So many pins that nobody presents, each in one Tentacle, as an old estate has them."""
    rows = audit["tentacles"]
    ghosts = []
    for number in range(count):
        ghost = {
            **audit["certificates"][-1],
            "thumbprint": thumbprint(f"old {number}"),
            "presented_by": [],
            "ours": False,
            "retired": False,
            "pinned_by": 1,
        }
        audit["certificates"].append(ghost)
        row = rows[number % len(rows)]
        row["cells"] = {**row["cells"], ghost["thumbprint"]: {"state": "trusted", "wire": "not_read", "disk": "yes", "process": "not_read"}}
        ghosts.append(ghost["thumbprint"])
    return ghosts


_HEADS = "[...document.querySelectorAll('.grid thead th.column')].map((head) => head.title.split('\\n')[1])"


def test_of_many_pins_the_most_frequent_have_a_column_and_the_rest_are_a_key_away(show: Show) -> None:
    audit = document(60)
    few = [one["thumbprint"] for one in audit["certificates"]]
    ghosts = with_ghosts(audit, 120)
    browser = show(audit, "#view=matrix")
    assert browser.run(_HEADS) == (few + ghosts)[:24]
    assert "24 of 126 certificates have a column" in browser.run("document.getElementById('panel-matrix').textContent")
    browser.run("document.getElementById('matrix-width').click()")
    assert browser.run(_HEADS) == few + ghosts
    assert browser.run("document.activeElement.id") == "matrix-width"
    browser.run("document.getElementById('matrix-width').click()")
    assert len(browser.run(_HEADS)) == 24


def test_a_pin_of_others_is_not_trusted_where_the_disk_was_read_and_not_read_where_it_was_not(show: Show) -> None:
    audit = document(60)
    (ghost,) = with_ghosts(audit, 1)
    text = show(audit, "#view=matrix&sort=name").run("document.getElementById('copy-csv').click(); return navigator.clipboard.readText()")
    told = {line["tentacle"]: next(state for name, state in line.items() if name.endswith(ghost)) for line in csv.DictReader(io.StringIO(text))}
    others = [row for row in audit["tentacles"] if ghost not in row["cells"]]
    expected = {row["id"]: "not_trusted" if row["sources"]["disk"]["state"] == "read" else "not_read" for row in others}
    assert set(expected.values()) == {"not_trusted", "not_read"}
    assert {name: told[name] for name in expected} == expected


def test_a_pin_that_is_searched_for_has_a_column(show: Show) -> None:
    audit = document(60)
    ghosts = with_ghosts(audit, 120)
    assert show(audit, f"#view=matrix&q={ghosts[-1]}").run(_HEADS)[-1] == ghosts[-1]


def test_a_tentacle_tells_of_its_own_pins_and_of_what_is_ours(show: Show) -> None:
    audit = document(60)
    with_ghosts(audit, 120)
    row = audit["tentacles"][0]
    browser = show(audit, f"#view=matrix&open={quote(row['id'])}")
    told = browser.run(
        "[...document.querySelectorAll('#drawer table')].find((one) => one.textContent.includes('What the sources say')).tBodies[0].rows.length"
    )
    assert told == len({*row["cells"], *(one["thumbprint"] for one in audit["certificates"] if one["ours"])}) < 24


def test_paper_is_not_as_wide_as_a_screen(show: Show, tmp_path: Path) -> None:
    audit = document(60)
    ghosts = with_ghosts(audit, 120)
    told = "".join(printed(show(audit, "#view=matrix"), tmp_path).split())
    assert "8of126certificateshaveacolumn" in told
    assert all(ghost in told for ghost in ghosts)  # under Servers


def test_few_certificates_need_no_button(show: Show) -> None:
    assert show(document(60), "#view=matrix").run("document.getElementById('matrix-width')") is None


# ---- 5,000 Tentacles


def test_5000_tentacles_are_shown_filtered_and_printed(show: Show, tmp_path: Path) -> None:
    audit = document(5000, findings=3000)
    with_ghosts(audit, 500)
    shown, size = [], 0
    for _round in range(3):
        browser = show(audit)
        size = (tmp_path / "audit of 100% #1.html").stat().st_size
        shown.append(browser.run(_SHOWN))
    filters = {view: browser.run(_FILTER.replace("VIEW", view)) for view in ("findings", "matrix")}
    slowest = max(itertools.chain(*(times.values() for times in filters.values())))
    print(
        f"\n5,000 Tentacles, {len(audit['findings'])} findings: shown after {min(shown):.0f} ms (target 1,000), "
        f"slowest filter {slowest:.0f} ms (100), {size / 1e6:.1f} MB (8)"
    )
    print(
        json.dumps(
            {"shown": [round(one) for one in shown], **{view: {text: round(one) for text, one in times.items()} for view, times in filters.items()}}
        )
    )
    assert browser.run("document.querySelectorAll('.grid tbody tr').length") < 100
    assert size < 8_000_000
    assert min(shown) < 1000
    assert slowest < 100
    names = set(printed(browser, tmp_path).split())
    assert {row["id"] for row in audit["tentacles"]} <= names


# From the start of the navigation to the frame that shows numbers, findings and filters.
_SHOWN = """
const largest = await new Promise((done) => {
  new PerformanceObserver((list) => done(list.getEntries().pop())).observe({ type: 'largest-contentful-paint', buffered: true });
});
return Math.max(performance.getEntriesByName('audit-shown')[0].startTime, largest.startTime);
"""
# From a key to the frame that shows what it left; each text five times (fifteen when something else has the processor), the best of them.
_FILTER = """
document.getElementById('tab-VIEW').click();
const search = document.getElementById('search');
const best = {};
for (let round = 0; round < 5 || (round < 15 && Math.max(...Object.values(best)) >= 100); round++) {
  for (const text of ['w', 'we', 'web-01', 'locked', 'Finance trusted', 'nothing has this', '']) {
    const before = performance.now();
    search.value = text;
    search.dispatchEvent(new Event('input'));
    await new Promise((done) => requestAnimationFrame(() => { const port = new MessageChannel(); port.port1.onmessage = done; port.port2.postMessage(0); }));
    best[text] = Math.min(best[text] ?? Infinity, performance.now() - before);
  }
}
return best;
"""
_CONTRAST = """
const paint = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const rgb = (color) => {
  paint.clearRect(0, 0, 1, 1);
  paint.fillStyle = color;
  paint.fillRect(0, 0, 1, 1);
  return [...paint.getImageData(0, 0, 1, 1).data];
};
const linear = (part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const known = new Map();
const ground = (node) => {
  const layers = [];
  for (let at = node; at; at = at.parentElement) {
    const color = getComputedStyle(at).backgroundColor;
    if (!known.has(color)) known.set(color, rgb(color));
    layers.push(known.get(color));
    if (known.get(color)[3] === 255) break;
  }
  return layers.reverse().reduce((below, [r, g, b, a]) => [r, g, b].map((part, place) => (part * a + below[place] * (255 - a)) / 255), [255, 255, 255]);
};
const bad = new Set();
for (const node of document.querySelectorAll('body *')) {
  if (![...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim())) continue;
  if (!node.checkVisibility({ opacityProperty: true }) || node.closest('[aria-hidden=true], .off-screen, script, noscript, .sym')) continue;
  const [front, back] = [light(rgb(getComputedStyle(node).color)), light(ground(node))];
  const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
  if (ratio < 4.5) bad.add(`${node.tagName}.${node.className} ${ratio.toFixed(2)}`);
}
return [...bad];
"""
