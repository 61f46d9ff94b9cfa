// Copyright (c) 2026, the octofleet.octopus authors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const number = (value) => value.toLocaleString("en-US");
  const several = (count, one, more = `${one}s`) => `${number(count)} ${count === 1 ? one : more}`;
  const day = (iso) => (iso ? iso.slice(0, 10) : "");
  const minute = (iso) => (iso ? `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC` : "");
  const brief = (thumbprint) => `${thumbprint.slice(0, 6)}\u2026${thumbprint.slice(-4)}`;
  const tally = (values) => values.reduce((counts, value) => counts.set(value, (counts.get(value) || 0) + 1), new Map());
  const once = (make) => {
    let made = null;
    return () => (made ??= make());
  };
  const natural = new Intl.Collator("en", { numeric: true }).compare;

  // ---- The document: every value is there once, and built from earlier ones (page.py, pack).
  function unpack({ shapes, values }) {
    const built = [];
    for (const value of values) {
      if (!Array.isArray(value)) built.push(value);
      else if (value[0] === 0) built.push(value.slice(1).map((place) => built[place]));
      else built.push(Object.fromEntries(shapes[value[0] - 1].map((key, index) => [key, built[value[index + 1]]])));
    }
    return built[built.length - 1];
  }
  const audit = unpack(JSON.parse(byId("audit").textContent));

  // ---- Words and symbols. A state is never told by its colour alone.
  const SEVERITY = {
    critical: { sign: "\u25C6", word: "critical" }, warning: { sign: "\u25B2", word: "warning" }, info: { sign: "\u25CF", word: "info" },
    fine: { sign: "\u2713", word: "fine" }, not_judged: { sign: "\u25CC", word: "not judged" }, accepted: { sign: "\u25C7", word: "accepted" },
  };
  const FOUND = ["critical", "warning", "info"];
  const RANK = Object.keys(SEVERITY);
  const CELL = {
    trusted: { sign: "\u2713", word: "trusted", means: "all sources that were read agree" },
    not_trusted: { sign: "\u2715", word: "not trusted", means: "all agree" },
    pending: { sign: "\u21BB", word: "after restart", means: "on disk, not yet in the process" },
    losing: { sign: "\u2193", word: "until restart", means: "in the process, and not on disk any more" },
    disagree: { sign: "\u2260", word: "sources differ", means: "no pending restart explains it" },
    not_read: { sign: "\u25CC", word: "not read", means: "no source was read" },
  };
  const SOURCE = {
    wire: { title: "Wire", letter: "W", tells: "what the running process presents and accepts", mode: { trust: "asked whom it accepts", identity: "asked who it is" } },
    disk: { title: "Disk", letter: "D", tells: "what will be true after a restart", mode: {} },
    database: { title: "Database", letter: "B", tells: "what the Server believes", mode: {} },
    process: { title: "Process", letter: "P", tells: "whether disk and memory can still agree", mode: {} },
  };
  const ANSWER = {
    wire: { yes: "accepts it", no: "refuses it", open: "accepts anybody", unknown: "could not tell", not_read: "not read" },
    disk: { yes: "lists it", no: "does not list it", spoiled: "lists it, spelled so that it never matches", not_read: "not read" },
    process: { yes: "has loaded it", no: "has not loaded it", not_read: "not read" },
  };
  const IDENTITY = { agrees: "agrees", differs: "\u2260 differs", disputed: "\u2260 disputed", single: "one source", not_read: "not read" };
  const MARKS = ["new", "unchanged", "accepted", "not accepted"];

  // ---- Elements. Text of the document only ever becomes text nodes (the policy forbids everything else).
  function el(tag, props, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(props || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "class") node.className = value;
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  }
  const sign = (text) => el("span", { class: "sym", "aria-hidden": "true" }, text);
  const badge = (severity) => el("span", { class: `badge ${severity}` }, sign(SEVERITY[severity].sign), SEVERITY[severity].word);
  const thumb = (text, whole) =>
    el("span", { class: whole ? "tp whole" : "tp", title: text }, text.slice(0, 6), el("i", null, text.slice(6, -4)), text.slice(-4));
  const docs = (page, ...text) =>
    el("a", { href: document.documentElement.dataset.documentation.replace("{page}", page), target: "_blank", rel: "noopener noreferrer" }, ...text);

  function sentence(text) {
    return text.split(/(`[^`]+`|\b[0-9A-F]{40}\b)/).map((part, place) => {
      if (place % 2 === 0) return part;
      return part[0] === "`" ? el("code", null, words(part.slice(1, -1))) : thumb(part);
    });
  }
  // What is run stands in backticks and has more than one word; a remedy that is done by hand is copied whole.
  const toRun = (remedy) => [...remedy.matchAll(/`([^`]+ [^`]+)`/g)].map((found) => found[1]).join("\n") || remedy.replaceAll("`", "");
  // A name with a hyphen is not broken at it.
  const words = (text) => text.split(" ").flatMap((word, place) => [place ? " " : "", el("span", { class: "word" }, word)]);

  let silence = 0;
  function say(text) {
    byId("said").textContent = text;
    byId("said").classList.add("on");
    clearTimeout(silence);
    silence = setTimeout(() => byId("said").classList.remove("on"), 1800);
  }
  async function copy(text, what, button) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Older browsers give no clipboard to a page from a file.
      const box = el("textarea", { class: "off-screen" }, text);
      document.body.append(box);
      box.select();
      document.execCommand("copy");
      box.remove();
      if (button) button.focus();
    }
    say(`${what} copied`);
    if (button) {
      button.classList.add("done");
      button.addEventListener("blur", () => button.classList.remove("done"), { once: true });
    }
  }
  const copyButton = (text, what, label) => el("button", { type: "button", class: "copy", "aria-label": label, onclick: (event) => copy(text, what, event.currentTarget) }, "Copy");

  // ---- What belongs together, found once.
  const codes = Object.keys(audit.codes).sort((a, b) => RANK.indexOf(audit.codes[a].severity) - RANK.indexOf(audit.codes[b].severity));
  const codeRank = new Map(codes.map((code, place) => [code, place]));
  const certificates = audit.certificates;
  // `found` is all that is said of it; `marks` leaves out what is so by default everywhere, which is said once of the fleet and marks no row.
  const rows = audit.tentacles.map((tentacle) => ({ tentacle, found: [], marks: [], own: haystack(tentacle), pins: pinned(tentacle) }));
  const rowOf = new Map(rows.map((row) => [row.tentacle.id, row]));
  const onHost = new Map();
  for (const row of rows) onHost.get(row.tentacle.host)?.push(row) ?? onHost.set(row.tentacle.host, [row]);
  const findings = audit.findings.map((finding) => {
    const about = finding.subjects.flatMap((subject) => rowOf.get(subject) || (finding.kind === "host" && onHost.get(subject)) || []);
    const hosts = [...new Set([finding.host, ...about.map((row) => row.tentacle.host)].filter(Boolean))];
    const said = [finding.code, audit.codes[finding.code]?.title, finding.seen, finding.remedy].join("\n").toLowerCase();
    const names = [finding.subject, ...finding.subjects, ...hosts, ...finding.spaces, ...finding.environments].join("\n").toLowerCase();
    const marks = [finding.status, finding.accepted ? "accepted" : "not accepted"].filter(Boolean);
    // A Tentacle is found by what its findings say, not by who else has them.
    const item = { finding, about, hosts, marks, said, all: [said, names, about.length === 1 ? about[0].own : ""].join("\n") };
    item.order = 4 * (codeRank.get(finding.code) ?? codes.length) + (finding.accepted ? 2 : 0) + (finding.status === "new" ? 0 : 1);
    about.forEach((row) => row.found.push(item));
    return item;
  });
  findings.sort((a, b) => a.order - b.order || natural(a.finding.subject, b.finding.subject));
  for (const row of rows) {
    row.found.sort((a, b) => a.order - b.order);
    row.marks = row.found.filter((item) => item.finding.kind !== "fleet" && !item.finding.accepted);
  }

  function haystack(tentacle) {
    const records = tentacle.records.flatMap((record) => [record.id, record.name, record.space, record.thumbprint, record.health]);
    const names = [tentacle.id, tentacle.host, tentacle.instance, tentacle.style, tentacle.endpoint, tentacle.subscription, tentacle.presented, tentacle.on_disk];
    const reasons = Object.values(tentacle.sources).map((source) => source.reason);
    return [...names, ...tentacle.spaces, ...tentacle.environments, ...tentacle.roles, ...records, ...reasons].filter(Boolean).join("\n").toLowerCase();
  }
  function pinned(tentacle) {
    return Object.entries(tentacle.cells).filter(([, cell]) => cell.state !== "not_read" && cell.state !== "not_trusted").map(([name]) => name.toLowerCase()).join("\n");
  }

  // ---- Filters. All of them together are the part of the address behind the #, so that a view can be linked.
  const known = (key) => [...new Set([...rows.flatMap((row) => row.tentacle[key]), ...findings.flatMap((item) => item.finding[key])])].sort(natural);
  const FACETS = {
    severity: { title: "Severity", of: (item) => [item.finding.severity], row: (row) => [row.tentacle.severity], options: () => RANK.slice(0, 5), word: (value) => SEVERITY[value].word },
    code: { title: "Finding", of: (item) => [item.finding.code], options: () => codes },
    host: { title: "Host", of: (item) => item.hosts, row: (row) => [row.tentacle.host], options: once(() => [...onHost.keys()].sort(natural)), word: (value) => value || "no host of the inventory" },
    space: { title: "Space", of: (item) => item.finding.spaces, row: (row) => row.tentacle.spaces, options: once(() => known("spaces")) },
    environment: { title: "Environment", of: (item) => item.finding.environments, row: (row) => row.tentacle.environments, options: once(() => known("environments")) },
    mark: { title: "Mark", of: (item) => item.marks, options: () => (audit.changes ? MARKS : MARKS.slice(2)) },
  };
  const PLACES = ["host", "space", "environment"];
  const wordOf = (facet, value) => (FACETS[facet].word || String)(value);
  const VIEWS = { findings: "Findings", matrix: "Trust matrix", servers: "Servers", codes: "Codes" };
  const blank = () => ({ view: "findings", q: "", sort: "worst", open: "", certificate: "", ...Object.fromEntries(Object.keys(FACETS).map((facet) => [facet, new Set()])) });
  let state = blank();
  let shown = { findings: [], rows: [] };

  const fits = (chosen, values) => chosen.size === 0 || values.some((value) => chosen.has(value));
  function select(filter) {
    const terms = filter.q.toLowerCase().split(/\s+/).filter(Boolean);
    const asksFinding = filter.code.size + filter.mark.size > 0;
    const isOne = (item) => fits(filter.code, FACETS.code.of(item)) && fits(filter.mark, item.marks);
    const weighs = (item) => filter.severity.has(item.finding.severity) && (asksFinding || item.finding.kind !== "fleet") && (!item.finding.accepted || filter.mark.has("accepted"));
    const judged = (row) => {
      if (!asksFinding && filter.severity.size === 0) return true;
      if (!asksFinding && (row.tentacle.severity === "fine" || row.tentacle.severity === "not_judged")) return filter.severity.has(row.tentacle.severity);
      return row.found.some((item) => isOne(item) && (filter.severity.size === 0 || weighs(item)));
    };
    const sayers = new Map(terms.map((term) => [term, new Set(findings.filter((item) => item.said.includes(term)))]));
    const says = (row, term) => row.own.includes(term) || row.pins.includes(term) || row.found.some((item) => sayers.get(term).has(item));
    const asked = (facets) => facets.filter((facet) => filter[facet].size > 0);
    const [every, places] = [asked(Object.keys(FACETS)), asked(PLACES)];
    return {
      findings: findings.filter((item) => every.every((facet) => fits(filter[facet], FACETS[facet].of(item))) && terms.every((term) => item.all.includes(term))),
      rows: rows.filter((row) => places.every((facet) => fits(filter[facet], FACETS[facet].row(row))) && judged(row) && terms.every((term) => says(row, term))),
    };
  }
  const isFiltered = () => state.q !== "" || Object.keys(FACETS).some((facet) => state[facet].size > 0);

  function toHash() {
    const parts = [];
    const start = blank();
    for (const key of ["view", "q", "sort", "open", "certificate"]) if (state[key] !== start[key]) parts.push(`${key}=${encodeURIComponent(state[key])}`);
    for (const facet of Object.keys(FACETS)) if (state[facet].size) parts.push(`${facet}=${[...state[facet]].map(encodeURIComponent).join(",")}`);
    return parts.length ? `#${parts.join("&")}` : "#";
  }
  const plain = (text) => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  };
  function fromHash() {
    const next = blank();
    for (const part of location.hash.slice(1).split("&").filter(Boolean)) {
      const [key, text = ""] = part.split(/=(.*)/s);
      if (key in FACETS) next[key] = new Set(text.split(",").map(plain));
      else if (key in next) next[key] = plain(text);
    }
    if (!(next.view in VIEWS)) next.view = "findings";
    return next;
  }

  // ---- One way in for every change: what is shown follows from the state.
  const dirty = new Set();
  const limits = new Map();
  function apply(change) {
    const filters = Object.keys(change).some((key) => key !== "open" && key !== "certificate" && key !== "view");
    Object.assign(state, change);
    if (location.hash !== toHash() && (location.hash || toHash() !== "#")) history.replaceState(null, "", toHash());
    if (filters) {
      shown = select(state);
      for (const view of Object.keys(VIEWS)) dirty.add(view);
      limits.clear();
    }
    drawBar();
    drawView();
    drawDrawer();
    for (const [place, row] of grid.drawn) row.classList.toggle("open", grid.list[place].tentacle.id === state.open);
  }
  function toggle(facet, value) {
    const next = new Set(state[facet]);
    if (!next.delete(value)) next.add(value);
    apply({ [facet]: next });
  }
  function drawView() {
    for (const view of Object.keys(VIEWS)) {
      byId(`panel-${view}`).hidden = view !== state.view;
      byId(`tab-${view}`).setAttribute("aria-selected", String(view === state.view));
      byId(`tab-${view}`).tabIndex = view === state.view ? 0 : -1;
    }
    if (dirty.delete(state.view)) DRAW[state.view]();
  }

  // ---- Overview
  function drawOverview() {
    byId("of").textContent = audit.server_url || "No Server was asked";
    byId("made").textContent = `${minute(audit.made_at)} \u00B7 octofleet.octopus ${audit.collection}`;
    byId("verdict").replaceChildren(...verdict());
    byId("but").textContent = reservations();
    drawNumbers();
    drawShare();
    byId("sources").replaceChildren(...Object.keys(SOURCE).map(sourceCard));
    drawChanges();
  }
  const worst = tally(audit.tentacles.map((tentacle) => tentacle.severity));
  const readAny = Object.values(audit.sources).some((source) => source.read > 0);
  function verdict() {
    const { counts } = audit;
    const touched = (severity) => `${number(worst.get(severity) || 0)} of ${several(counts.tentacles, "Tentacle")}`;
    const strong = (severity, text) => el("b", { class: severity }, text);
    if (counts.critical) return [strong("critical", several(counts.critical, "critical finding")), ` on ${touched("critical")}.`];
    if (!readAny && !counts.critical) return ["Nothing was read, so nothing was judged", counts.warning ? [". ", strong("warning", several(counts.warning, "warning")), " say why."] : "."].flat();
    if (counts.warning) return ["Nothing critical was found. ", strong("warning", several(counts.warning, "warning")), ` on ${touched("warning")}.`];
    return [strong("fine", `${number(counts.fine)} of ${several(counts.tentacles, "Tentacle")} fine`), ` in what was read${counts.info ? `, with ${several(counts.info, "remark")}` : ""}.`];
  }
  function reservations() {
    const unasked = Object.keys(SOURCE).filter((source) => !audit.sources[source].asked);
    const unjudged = codes.filter((code) => audit.codes[code].judged === 0 && audit.codes[code].not_judged > 0);
    const parts = [];
    if (unasked.length) parts.push(`Not asked: ${unasked.join(", ")}.`);
    if (audit.counts.not_judged) parts.push(`${several(audit.counts.not_judged, "Tentacle")} could not be judged.`);
    if (unjudged.length) parts.push(`${unjudged.length} of ${several(codes.length, "code")} could not be judged; the view Codes says why.`);
    return parts.join(" ");
  }
  function drawNumbers() {
    const { counts } = audit;
    const tile = (name, title, below) => {
      const press = () => (name === "accepted" ? toggle("mark", "accepted") : toggle("severity", name));
      const inside = [el("b", null, number(counts[name])), el("span", { class: "what" }, SEVERITY[name] && sign(SEVERITY[name].sign), title), el("small", null, below)];
      if (name === "tentacles") return el("div", { class: "number" }, inside);
      return el("button", { type: "button", class: `number ${name}${counts[name] ? "" : " none"}`, "aria-pressed": "false", "data-name": name, onclick: press }, inside);
    };
    byId("numbers").replaceChildren(
      tile("tentacles", "Tentacles", `on ${several(counts.hosts, "host")}`),
      tile("critical", "Critical", "cut off, or open"), tile("warning", "Warning", "drift, weak, fragile"), tile("info", "Info", "good to know"),
      tile("accepted", "Accepted", "for a reason, for a time"), tile("fine", "Fine", "Tentacles, as far as read"), tile("not_judged", "Not judged", "Tentacles, too little read"),
    );
  }
  function drawShare() {
    const parts = RANK.filter((severity) => worst.get(severity));
    const bar = el("div", { class: "share", "aria-hidden": "true" }, parts.map((severity) => el("span", { class: severity })));
    parts.forEach((severity, place) => { bar.children[place].style.flexGrow = worst.get(severity); });
    const key = parts.map((severity) => el("span", { class: severity }, sign(SEVERITY[severity].sign), ` ${number(worst.get(severity))} ${SEVERITY[severity].word}`));
    byId("share").replaceChildren(bar, el("p", { class: "share-key" }, el("span", null, "Tentacles by the worst that was found:"), key));
  }
  function sourceCard(name) {
    const source = audit.sources[name];
    const { title, tells, mode } = SOURCE[name];
    const fill = el("i");
    fill.style.width = `${(100 * source.read) / (source.read + source.not_read || 1)}%`;
    const reasons = [...tally(audit.tentacles.map((tentacle) => tentacle.sources[name]).filter((said) => said.state === "not_read" && said.reason).map((said) => said.reason))];
    const why = [source.reason, ...reasons.sort((a, b) => b[1] - a[1]).slice(0, 2).map(([reason, count]) => `${reason} (${number(count)})`)].filter(Boolean);
    if (reasons.length > 2) why.push(`${reasons.length - 2} more reasons`);
    const read = [el("b", null, number(source.read)), ` of ${number(source.read + source.not_read)} read`, source.not_read ? `, ${number(source.not_read)} not: ${why.join("; ") || "no reason given"}` : ""];
    return el("div", { class: `source card${source.asked ? "" : " unasked"}`, role: "listitem" },
      el("h3", null, title, el("span", null, mode[source.mode] || tells)),
      el("div", { class: "meter" }, source.asked && fill),
      el("p", null, source.asked ? read : [el("b", null, "Not read"), `: ${source.reason || "not asked for"}`]));
  }
  function drawChanges() {
    const { changes } = audit;
    const box = byId("changes");
    if (!changes) return;
    box.className = "card";
    const show = (mark, count) => el("button", { type: "button", class: "link", onclick: () => apply({ ...blank(), mark: new Set([mark]) }) }, `${number(count)} ${mark}`);
    const gone = changes.gone.map((finding) => el("li", null, badge(finding.severity), " ", el("span", { class: "code" }, finding.code), ` ${finding.subject}: `, sentence(finding.seen)));
    box.replaceChildren(
      el("b", null, `Since the audit of ${minute(changes.since)}`), show("new", changes.new.length), show("unchanged", changes.unchanged),
      changes.gone.length ? el("details", null, el("summary", { class: "link" }, `${number(changes.gone.length)} gone`), el("ul", null, gone)) : el("span", { class: "soft" }, "0 gone"));
  }

  // ---- Tabs, filters and what they leave
  function buildBar() {
    byId("tabs").replaceChildren(...Object.entries(VIEWS).map(([view, title]) =>
      el("button", { type: "button", role: "tab", id: `tab-${view}`, "aria-controls": `panel-${view}`, onclick: () => apply({ view }) }, title, el("span"))));
    byId("tabs").addEventListener("keydown", (event) => {
      const views = Object.keys(VIEWS);
      const step = { ArrowRight: 1, ArrowLeft: -1, Home: -views.indexOf(state.view), End: views.length - 1 - views.indexOf(state.view) }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      apply({ view: views[(views.indexOf(state.view) + step + views.length) % views.length] });
      byId(`tab-${state.view}`).focus();
    });
    byId("facets").replaceChildren(...Object.keys(FACETS).filter((facet) => facet === "host" || FACETS[facet].options().length > 0).map(buildFacet));
    byId("search").addEventListener("input", (event) => apply({ q: event.target.value.trim() }));
    for (const view of Object.keys(VIEWS)) byId(`panel-${view}`).dataset.title = VIEWS[view];
  }
  function buildFacet(facet) {
    const menu = el("div", { class: "menu card" });
    const box = el("details", { class: "facet", "data-facet": facet, name: "facet" }, el("summary", null, FACETS[facet].title), menu);
    box.addEventListener("toggle", () => {
      if (!box.open) return menu.replaceChildren();
      fillMenu(facet, menu);
      return (menu.querySelector("input[type=text]") || menu.querySelector("input")).focus();
    });
    box.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
      const stops = [...menu.querySelectorAll("input")];
      const next = stops[stops.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1)];
      if (next) next.focus();
      event.preventDefault();
    });
    return box;
  }
  const MENU = 150;
  function fillMenu(facet, menu) {
    const list = el("div");
    const options = FACETS[facet].options();
    const narrow = options.length > 12 && el("input", { type: "text", placeholder: `Narrow down ${number(options.length)}`, "aria-label": `Narrow down: ${FACETS[facet].title}`, oninput: () => draw() });
    const draw = () => {
      const part = narrow ? narrow.value.trim().toLowerCase() : "";
      const left = select({ ...state, [facet]: new Set() });
      const counts = tally([
        ...(facet === "severity" || !FACETS[facet].row ? left.findings.flatMap(FACETS[facet].of) : []),
        ...(FACETS[facet].row ? left.rows.flatMap(FACETS[facet].row).filter((value) => facet !== "severity" || !FOUND.includes(value)) : []),
      ]);
      const fitting = options.filter((value) => wordOf(facet, value).toLowerCase().includes(part));
      list.replaceChildren(...fitting.slice(0, MENU).map((value) => option(facet, value, counts.get(value) || 0)));
      if (fitting.length > MENU) list.append(el("p", { class: "more" }, `${number(fitting.length - MENU)} more; type to narrow them down.`));
    };
    menu.replaceChildren(...[narrow, list].filter(Boolean));
    draw();
  }
  function option(facet, value, count) {
    const box = el("input", { type: "checkbox", value, onchange: () => toggle(facet, value) });
    box.checked = state[facet].has(value);
    const name = facet === "severity" ? badge(value) : el("span", { class: facet === "code" ? "code" : "" }, wordOf(facet, value));
    return el("label", { class: `option${count ? "" : " nothing"}` }, box, el("span", { class: "name" }, name), el("span", { class: "many" }, number(count)));
  }
  function drawBar() {
    byId("tab-findings").lastChild.textContent = ` ${number(shown.findings.length)}`;
    byId("tab-matrix").lastChild.textContent = ` ${number(shown.rows.length)}`;
    byId("tab-codes").lastChild.textContent = ` ${number(codes.length)}`;
    if (byId("search").value.trim() !== state.q) byId("search").value = state.q;
    const all = isFiltered() ? "" : "all of ";
    byId("count").replaceChildren(all, el("b", null, several(shown.findings.length, "finding")), ", ", el("b", null, several(shown.rows.length, "Tentacle")));
    const chosen = Object.keys(FACETS).flatMap((facet) => [...state[facet]].map((value) => ({ facet, value })));
    const chips = chosen.map(({ facet, value }) => el("button", { type: "button", class: "chip", title: "Take this filter away", onclick: () => toggle(facet, value) },
      `${FACETS[facet].title}: ${facet in FACETS && (facet !== "severity" || value in SEVERITY) ? wordOf(facet, value) : value}`, el("span", { "aria-hidden": "true" }, "\u00D7")));
    if (state.q) chips.push(el("button", { type: "button", class: "chip", title: "Take this filter away", onclick: () => apply({ q: "" }) }, `Text: ${state.q}`, el("span", { "aria-hidden": "true" }, "\u00D7")));
    if (chips.length) chips.push(el("button", { type: "button", class: "chip clear", onclick: () => apply({ ...blank(), view: state.view, sort: state.sort }) }, "Clear all"));
    byId("chips").replaceChildren(...chips);
    for (const box of byId("facets").children) box.classList.toggle("on", state[box.dataset.facet].size > 0);
    for (const tile of byId("numbers").querySelectorAll("button")) tile.setAttribute("aria-pressed", String(tile.dataset.name === "accepted" ? state.mark.has("accepted") : state.severity.has(tile.dataset.name)));
    const filters = [...chosen.map(({ facet, value }) => `${FACETS[facet].title}: ${value}`), ...(state.q ? [`text: ${state.q}`] : [])];
    byId("shown-on-paper").textContent = filters.length ? `Filtered by ${filters.join("; ")}: ${several(shown.findings.length, "finding")}, ${several(shown.rows.length, "Tentacle")}. The numbers above are those of the whole audit.` : "";
    byId("copy-csv").hidden = state.view !== "findings" && state.view !== "matrix";
  }
  const nothing = (title, text) => el("div", { class: "nothing-found card" }, el("b", null, title), text);

  // ---- Findings, grouped by code; of each group the first ones, so that a page of thousands can be taken in
  let printing = false;
  function drawFindings() {
    const groups = new Map();
    for (const item of shown.findings) groups.get(item.finding.code)?.push(item) ?? groups.set(item.finding.code, [item]);
    const first = groups.size > 3 ? 4 : 50;
    const list = el("div", { class: "groups", onkeydown: walkFindings }, [...groups].map(([code, items]) => group(code, items, first)));
    if (!groups.size) list.append(findings.length ? nothing("No finding passes these filters.", "Take a filter away, or clear all of them.") : nothing("No findings.", readAny ? "The view Codes says what was judged, and what was not." : "Nothing was read, so nothing was judged."));
    const stop = list.querySelector(".finding");
    if (stop) stop.tabIndex = 0;
    byId("panel-findings").replaceChildren(el("div", { class: "two" }, rail(), list));
  }
  function rail() {
    const counts = tally((state.code.size ? select({ ...state, code: new Set() }) : shown).findings.map((item) => item.finding.code));
    const box = el("nav", { class: "rail", "aria-label": "Findings by code" });
    for (const severity of FOUND) {
      const found = codes.filter((code) => audit.codes[code].severity === severity && (counts.get(code) || state.code.has(code)));
      if (found.length) box.append(el("h3", null, severity[0].toUpperCase() + severity.slice(1)));
      for (const code of found) {
        box.append(el("button", { type: "button", class: severity, title: audit.codes[code].title, "aria-pressed": String(state.code.has(code)), "data-code": code, onclick: () => {
          toggle("code", code);
          byId("panel-findings").querySelector(`[data-code="${code}"]`)?.focus();
        } }, sign(SEVERITY[severity].sign), el("span", { class: "code" }, code), el("span", { class: "many" }, number(counts.get(code) || 0))));
      }
    }
    return box;
  }
  function group(code, items, first) {
    const entry = audit.codes[code] || { severity: items[0].finding.severity, title: code };
    const box = el("section", { class: "group card", "aria-label": `${code}: ${entry.title}` });
    const limit = printing ? items.length : limits.get(code) || first;
    const more = (count) => () => {
      limits.set(code, limit + count);
      const next = group(code, items, first);
      box.replaceWith(next);
      next.querySelectorAll(".finding")[limit].focus();
    };
    const accepted = items.filter((item) => item.finding.accepted).length;
    const total = tally(items.map((item) => item.finding.status)).get("new");
    const marks = [accepted && `${number(accepted)} accepted`, total && `${number(total)} new`].filter(Boolean).join(", ");
    box.append(
      el("header", { class: "group-head" }, badge(entry.severity), el("h3", null, entry.title), docs(items[0].finding.page, el("span", { class: "code" }, code), el("span", { class: "off-screen" }, " (its page in the docs, in a new tab)"), " \u2197"),
        el("span", { class: "many" }, el("b", null, several(items.length, "finding")), marks && `, ${marks}`)),
      ...items.slice(0, limit).map((item) => findingRow(item)));
    if (items.length > limit) {
      const left = items.length - limit;
      box.append(el("div", { class: "group-more" }, left > 50 && el("button", { type: "button", class: "link", onclick: more(50) }, "Show 50 more"), el("button", { type: "button", class: "link", onclick: more(left) }, `Show all ${number(items.length)}`)));
    }
    return box;
  }
  function findingRow(item, inDrawer) {
    const { finding } = item;
    const name = item.about.length && finding.subjects.length === 1 && !inDrawer
      ? el("button", { type: "button", class: "subject", "data-open": item.about[0].tentacle.id, onclick: () => openDrawer({ open: item.about[0].tentacle.id, certificate: "" }) }, finding.subject)
      : el("p", { class: "subject" }, inDrawer ? docs(finding.page, el("span", { class: "code" }, finding.code)) : finding.subject);
    const marks = el("div", { class: "marks" }, inDrawer && badge(finding.severity), finding.status && el("span", { class: `tag ${finding.status}` }, finding.status),
      finding.accepted && el("span", { class: "tag", title: finding.accepted.reason }, `accepted until ${finding.accepted.until}`));
    const where = [finding.spaces.join(", "), finding.environments.join(", ")].filter(Boolean).join(" \u00B7 ");
    return el("article", { class: `finding${finding.accepted ? " is-accepted" : ""}`, tabindex: "-1", "data-id": finding.id, "aria-label": `${finding.code}: ${finding.subject}` },
      el("div", { class: "who" }, name, !inDrawer && where && el("p", { class: "where" }, where), marks),
      el("div", { class: "what-and-do" }, el("p", { class: "seen" }, sentence(finding.seen)), finding.accepted && el("p", { class: "where" }, `Accepted: ${finding.accepted.reason}`), finding.subjects.length > 1 && subjects(item),
        el("div", { class: "remedy" }, el("p", null, remedyParts(finding.remedy)), copyButton(toRun(finding.remedy), "Remedy", `Copy the remedy of ${finding.code} for ${finding.subject}`))));
  }
  function remedyParts(text) {
    const parts = sentence(text);
    const commands = parts.filter((part) => part.tagName === "CODE");
    // One command at the end stands on a line of its own: it is what the eye looks for.
    if (commands.length === 1 && /^[.\s]*$/.test(parts[parts.length - 1])) {
      commands[0].className = "cmd";
      return parts.slice(0, -1);
    }
    return parts;
  }
  function subjects({ finding }) {
    const fill = (event) => {
      const list = event.target.lastChild;
      if (event.target.open && !list.children.length) list.append(...finding.subjects.map((subject) => el("li", null, subject)));
    };
    const list = el("ul", null, printing ? finding.subjects.map((subject) => el("li", null, subject)) : []);
    return el("details", { class: "subjects", ontoggle: fill, open: printing }, el("summary", null, `All ${number(finding.subjects.length)} that it is about`), list);
  }
  function walkFindings(event) {
    const here = event.target.closest(".finding");
    if (!here) return;
    if (event.key === "Enter" && event.target === here) {
      event.preventDefault(); // or it would press the button that gets the focus now
      here.querySelector("button.subject")?.click();
    }
    const stops = [...byId("panel-findings").querySelectorAll(".finding")];
    const to = { ArrowDown: stops.indexOf(here) + 1, ArrowUp: stops.indexOf(here) - 1, Home: 0, End: stops.length - 1 }[event.key];
    if (to === undefined || !stops[to]) return;
    event.preventDefault();
    stops.forEach((stop) => { stop.tabIndex = -1; });
    stops[to].tabIndex = 0;
    stops[to].focus();
  }

  // ---- The trust matrix: a window over rows of one height; on paper all of them
  const LEAD = ["Tentacle", "Worst found", "Style", "Read", "Identity"];
  // Pins that nobody presents may be many. The first are the most frequent; the rest waits behind a button, or until somebody asks for one.
  const MOST_COLUMNS = { screen: 24, paper: 8 };
  let columns = certificates;
  const narrow = () => certificates.filter((one, place) => place < MOST_COLUMNS[printing ? "paper" : "screen"] || one.presented_by.length || one.thumbprint === state.q.trim().toUpperCase());
  const grid = { wide: false, list: [], drawn: new Map(), at: { row: 0, column: 0 }, height: 36 };
  // What a restart gives and what it takes is one state of the document, told apart by what the disk says.
  const look = (cell) => (cell.state === "pending" && cell.disk !== "yes" ? "losing" : cell.state);
  const isAlarm = (column, cell) => ["not_trusted", "losing"].includes(look(cell)) && column.ours && !column.retired && column.presented_by.length > 0;
  function cellBox(name, alarm) {
    return el("span", { class: `cell ${name}${alarm ? " alarm" : ""}` }, sign(CELL[name].sign), el("span", null, CELL[name].word));
  }
  function drawMatrix() {
    const rank = (row) => RANK.indexOf(row.tentacle.severity) * 100 + (row.marks.length ? codeRank.get(row.marks[0].finding.code) ?? codes.length : 99);
    columns = grid.wide && !printing ? certificates : narrow();
    grid.list = state.sort === "worst" ? [...shown.rows].sort((a, b) => rank(a) - rank(b)) : shown.rows;
    grid.drawn.clear();
    grid.at = { row: Math.min(grid.at.row, grid.list.length - 1), column: Math.min(grid.at.column, LEAD.length + columns.length - 1) };
    if (!grid.list.length) return byId("panel-matrix").replaceChildren(rows.length ? nothing("No Tentacle passes these filters.", "Take a filter away, or clear all of them.") : nothing("No Tentacles.", "The audit was given none, and found none."));
    if (printing) return byId("panel-matrix").replaceChildren(legend(), widthBar(), paperMatrix());
    grid.above = el("tr", { class: "spacer", "aria-hidden": "true" }, el("td"));
    grid.below = el("tr", { class: "spacer", "aria-hidden": "true" }, el("td"));
    grid.body = el("tbody", null, grid.above, grid.below);
    const table = el("table", { class: "grid", role: "grid", "aria-rowcount": grid.list.length + 1, "aria-colcount": LEAD.length + columns.length, "aria-label": "Tentacles against Server certificates",
      onclick: clickCell, onkeydown: walkGrid, onfocusin: tellCell, onmouseover: tellCell }, el("thead", null, headRow()), grid.body);
    grid.scroller = el("div", { class: "scroller", tabindex: "-1" }, table);
    grid.detail = el("div", { class: "detail" }, "Point at a cell, or walk there with the arrow keys, to see what each source said. Enter opens the Tentacle.");
    grid.scroller.addEventListener("scroll", () => requestAnimationFrame(() => drawWindow()), { passive: true });
    byId("panel-matrix").replaceChildren(legend(), widthBar(), el("div", { class: "matrix card" }, grid.scroller, grid.detail));
    drawWindow();
    return undefined;
  }
  function legend() {
    const parts = Object.keys(CELL).map((name) => el("li", { title: CELL[name].means }, cellBox(name), el("span", { class: "hint" }, CELL[name].means)));
    parts.splice(2, 0, el("li", null, cellBox("not_trusted", true), el("span", { class: "hint" }, "though this Server presents it")));
    const one = (name, text) => [el("span", { class: `reads` }, el("span", { class: name }, "W")), text];
    const letters = Object.values(SOURCE).map((source) => `${source.letter} ${source.title.toLowerCase()}`).join(", ");
    return el("ul", { class: "legend" }, parts, el("li", null, one("read", "source read"), one("unread", "not read"), one("unasked", "not asked for")), el("li", null, letters));
  }
  function widthBar() {
    const some = narrow().length;
    if (some === certificates.length) return "";
    const wide = grid.wide && !printing;
    const told = wide ? `All ${number(certificates.length)} certificates have a column. ` : `${number(some)} of ${number(certificates.length)} certificates have a column: those presented, and the pins that most Tentacles have. All are under Servers. `;
    const press = () => {
      grid.wide = !grid.wide;
      drawMatrix();
      byId("matrix-width").focus();
    };
    return el("p", { class: "width soft" }, told, el("button", { type: "button", class: "ghost", id: "matrix-width", onclick: press }, wide ? `Show ${number(some)}` : `Show all ${number(certificates.length)}`));
  }
  function headRow() {
    const sorting = { Tentacle: "name", "Worst found": "worst" };
    const lead = LEAD.map((title, place) => {
      const by = sorting[title];
      const press = () => {
        apply({ sort: by });
        focusCell(-1, place);
      };
      const inside = by ? el("button", { type: "button", tabindex: "-1", onclick: press }, title, state.sort === by && el("span", { class: "arrow", "aria-hidden": "true" }, " \u2193")) : el("b", null, title);
      return el("th", { scope: "col", "data-row": -1, "data-column": place, tabindex: "-1", "aria-sort": by && (state.sort === by ? "ascending" : "none") }, inside);
    });
    const rest = columns.map((column, place) => el("th", { scope: "col", class: "column", "data-row": -1, "data-column": place + LEAD.length, tabindex: "-1", title: `${column.label}\n${column.thumbprint}`, "aria-label": `${column.label}, ${column.thumbprint}` },
      el("button", { type: "button", tabindex: "-1", onclick: () => apply({ certificate: column.thumbprint, open: "" }) }, el("span", { class: "label" }, words(column.label)), thumb(column.thumbprint)),
      column.retired && el("span", { class: "tag" }, "retired")));
    return el("tr", { "aria-rowindex": 1 }, lead, rest);
  }
  function matrixRow(place) {
    const { tentacle, marks: open } = grid.list[place];
    const cell = (column, props, ...inside) => el(column ? "td" : "th", { "data-row": place, "data-column": column, tabindex: "-1", ...props }, ...inside);
    const told = open.length ? [el("span", { class: "code" }, open[0].finding.code), open.length > 1 && ` +${open.length - 1}`] : SEVERITY[tentacle.severity].word;
    const reads = Object.entries(SOURCE).map(([name, { letter }]) => {
      const { state: how, reason } = tentacle.sources[name];
      return el("span", { class: { read: "read", not_read: "unread", not_asked: "unasked" }[how], title: `${name}: ${sourceWords(how, reason)}` }, letter);
    });
    const spoken = Object.keys(SOURCE).map((name) => `${name} ${sourceWords(tentacle.sources[name].state, "")}`).join(", ");
    return el("tr", { "aria-rowindex": place + 2, class: state.open === tentacle.id ? "open" : "" },
      cell(0, { scope: "row", class: tentacle.severity, title: tentacle.id, "data-id": tentacle.id }, sign(SEVERITY[tentacle.severity].sign), el("span", { class: "off-screen" }, `${SEVERITY[tentacle.severity].word}: `), el("b", null, tentacle.id)),
      cell(1, { class: `worst ${tentacle.severity}` }, told), cell(2, { class: "small" }, tentacle.style), cell(3, { "aria-label": spoken }, el("span", { class: "reads", "aria-hidden": "true" }, reads)), cell(4, { class: `small id-${tentacle.identity}` }, IDENTITY[tentacle.identity]),
      columns.map((column, at) => cell(at + LEAD.length, null, cellOf(tentacle, column, true))));
  }
  // Thousands of rows on paper: one text a cell, and nothing in a heading that chromium would not repeat on each page.
  function paperMatrix() {
    const head = el("tr", null, LEAD.map((title) => el("th", { scope: "col" }, title === "Read" ? "Not read" : title)), columns.map((column) => el("th", { scope: "col" }, words(column.label), el("br"), brief(column.thumbprint), column.retired && " retired")));
    const line = ({ tentacle, marks: open }) => {
      const unread = Object.keys(SOURCE).filter((name) => tentacle.sources[name].state !== "read");
      return el("tr", null, el("th", { scope: "row" }, tentacle.id), el("td", { class: tentacle.severity }, `${SEVERITY[tentacle.severity].sign} ${open.length ? open[0].finding.code : SEVERITY[tentacle.severity].word}${open.length > 1 ? ` +${open.length - 1}` : ""}`),
        el("td", null, tentacle.style), el("td", null, unread.length === 4 ? "all" : unread.join(", ")), el("td", null, IDENTITY[tentacle.identity]),
        columns.map((column) => {
          const cell = cellOf(tentacle, column);
          const name = look(cell);
          return el("td", { class: `on-paper ${name}${isAlarm(column, cell) ? " alarm" : ""}` }, `${CELL[name].sign} ${CELL[name].word}`);
        }));
    };
    return el("table", { class: "paper" }, el("thead", null, head), el("tbody", null, grid.list.map(line)));
  }
  // Of a certificate that nobody presents, the document has a cell only where it is pinned.
  const UNREAD = { state: "not_read", wire: "not_read", disk: "not_read", process: "not_read" };
  const UNLISTED = { ...UNREAD, state: "not_trusted", disk: "no" };
  function cellOf(tentacle, column, box) {
    const cell = tentacle.cells[column.thumbprint] || (tentacle.sources.disk.state === "read" ? UNLISTED : UNREAD);
    return box ? cellBox(look(cell), isAlarm(column, cell)) : cell;
  }
  const sourceWords = (how, reason) => ({ read: "read", not_read: "not read", not_asked: "not asked for" })[how] + (reason ? `: ${reason}` : "");
  function drawWindow() {
    if (!grid.scroller.isConnected) return;
    const room = Math.ceil(grid.scroller.clientHeight / grid.height) || 20;
    const top = Math.floor(grid.scroller.scrollTop / grid.height);
    const from = Math.max(0, Math.min(top - 8, grid.list.length - room));
    const to = Math.min(grid.list.length, top + room + 8);
    for (const [place, row] of grid.drawn) {
      if (place >= from && place < to) continue;
      row.remove();
      grid.drawn.delete(place);
    }
    let before = grid.above;
    const fresh = [];
    for (let place = from; place < to; place++) {
      let row = grid.drawn.get(place);
      if (!row) {
        row = matrixRow(place);
        grid.drawn.set(place, row);
        fresh.push(row);
        before.after(row);
      }
      before = row;
    }
    grid.above.firstChild.style.height = `${from * grid.height}px`;
    grid.below.firstChild.style.height = `${(grid.list.length - to) * grid.height}px`;
    const here = grid.body.parentNode.querySelector('[tabindex="0"]');
    if (here) here.tabIndex = -1;
    (cellAt(grid.at.row, grid.at.column) || grid.drawn.get(from).firstChild).tabIndex = 0;
  }
  const cellAt = (row, column) => (row < 0 ? grid.body.parentNode.tHead.rows[0].cells[column] : grid.drawn.get(row)?.cells[column]);
  function focusCell(row, column) {
    grid.at = { row, column };
    if (row >= 0) {
      // The window is moved first: a cell must be there to be focused.
      const { scroller } = grid;
      const head = grid.body.parentNode.tHead.offsetHeight;
      const top = row * grid.height;
      if (top < scroller.scrollTop) scroller.scrollTop = top;
      else if (top + grid.height > scroller.scrollTop + scroller.clientHeight - head) scroller.scrollTop = top + grid.height + head - scroller.clientHeight;
    }
    drawWindow();
    cellAt(row, column).focus({ preventScroll: row >= 0 });
    cellAt(row, column).scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  function walkGrid(event) {
    const here = event.target.closest("[data-row]");
    if (!here) return;
    const [row, column] = [Number(here.dataset.row), Number(here.dataset.column)];
    const [lastRow, lastColumn] = [grid.list.length - 1, LEAD.length + columns.length - 1];
    const page = Math.max(1, Math.floor(grid.scroller.clientHeight / grid.height) - 2);
    const far = event.ctrlKey || event.metaKey;
    const to = {
      ArrowDown: [row + 1, column], ArrowUp: [row - 1, column], ArrowRight: [row, column + 1], ArrowLeft: [row, column - 1], PageDown: [row + page, column], PageUp: [Math.max(0, row - page), column],
      Home: [far ? 0 : row, 0], End: [far ? lastRow : row, lastColumn],
    }[event.key];
    if (to) {
      event.preventDefault();
      focusCell(Math.max(-1, Math.min(to[0], lastRow)), Math.max(0, Math.min(to[1], lastColumn)));
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (row < 0) here.querySelector("button")?.click();
      else openCell(row, column);
    } else if (event.key.toLowerCase() === "c" && !far && column >= LEAD.length) {
      copy(columns[column - LEAD.length].thumbprint, "Thumbprint");
    }
  }
  function clickCell(event) {
    const here = event.target.closest("[data-row]");
    if (!here || here.dataset.row === "-1") return;
    grid.at = { row: Number(here.dataset.row), column: Number(here.dataset.column) };
    openCell(grid.at.row, grid.at.column);
  }
  const openCell = (row, column) => openDrawer({ open: grid.list[row].tentacle.id, certificate: column >= LEAD.length ? columns[column - LEAD.length].thumbprint : "" });
  function answers(tentacle, cell) {
    return Object.keys(ANSWER).map((source) => {
      const { state: how, reason } = tentacle.sources[source];
      return [source, cell[source] === "not_read" && how !== "read" ? sourceWords(how, reason) : ANSWER[source][cell[source]] || cell[source]];
    });
  }
  function tellCell(event) {
    const here = event.target.closest("[data-row]");
    if (!here) return;
    const column = columns[here.dataset.column - LEAD.length];
    const { tentacle, marks } = grid.list[here.dataset.row] || {};
    const heading = (...text) => el("b", null, ...text);
    if (column && tentacle) {
      const cell = cellOf(tentacle, column);
      grid.detail.replaceChildren(heading(tentacle.id), " and ", heading(column.label), " ", thumb(column.thumbprint, true), `: ${CELL[look(cell)].word}. `, answers(tentacle, cell).map(([source, words]) => `${SOURCE[source].title}: ${words}`).join("; "), ".");
    } else if (column) {
      grid.detail.replaceChildren(heading(column.label), " ", thumb(column.thumbprint, true), `: pinned by ${several(column.pinned_by, "Tentacle")}; ${column.presented_by.length ? `presented by ${column.presented_by.join(", ")}` : "presented by nobody that was asked"}. C copies the thumbprint.`);
    } else if (tentacle) {
      const unread = Object.keys(SOURCE).filter((name) => tentacle.sources[name].state !== "read").map((name) => `${name} ${sourceWords(tentacle.sources[name].state, tentacle.sources[name].reason)}`);
      grid.detail.replaceChildren(heading(tentacle.id), `: ${tentacle.style}${tentacle.endpoint ? ` at ${tentacle.endpoint}` : ""}; ${marks.length ? [...new Set(marks.map((item) => item.finding.code))].join(", ") : SEVERITY[tentacle.severity].word}${unread.length ? `; ${unread.join("; ")}` : ""}.`);
    }
  }

  // ---- Servers and codes
  function table(title, heads, lines, first = "") {
    return el("div", { class: "table card" }, el("h3", null, title), el("table", null, el("thead", null, el("tr", null, heads.map((head, place) => el("th", { scope: "col", class: place && first.includes(head) ? "digits" : "" }, head)))), el("tbody", null, lines)));
  }
  function drawServers() {
    const nodes = audit.servers.flatMap((server) => server.nodes.map((node) => el("tr", null, el("th", { scope: "row" }, el("b", null, server.name), server.ours && " (ours)"), el("td", null, node.name), el("td", null, node.address || "no address known"),
      el("td", null, node.presented ? [thumb(node.presented, true), " ", copyButton(node.presented, "Thumbprint", `Copy what ${node.name} presents`)] : [sign(CELL.not_read.sign), sourceWords(node.state, node.reason)]),
      el("td", null, !server.database ? el("span", { class: "soft" }, "not read") : server.database === node.presented ? [sign("\u2713"), "the same"] : [node.presented && sign("\u2260"), thumb(server.database)]))));
    const listed = certificates.map((column) => el("tr", null, el("th", { scope: "row" }, el("button", { type: "button", class: "subject", onclick: () => openDrawer({ certificate: column.thumbprint, open: "" }) }, column.label), column.retired && [" ", el("span", { class: "tag" }, "retired")]),
      el("td", null, thumb(column.thumbprint, true), " ", copyButton(column.thumbprint, "Thumbprint", `Copy the thumbprint of ${column.label}`)), el("td", null, column.presented_by.join(", ") || el("span", { class: "soft" }, "nobody that was asked")),
      el("td", { class: "digits" }, number(column.pinned_by)), el("td", null, [column.signature_algorithm, column.key].filter(Boolean).join(", ") || el("span", { class: "soft" }, "not read")), el("td", null, day(column.not_after) || el("span", { class: "soft" }, "not read"))));
    byId("panel-servers").replaceChildren(
      nodes.length ? table("Server nodes, and what they present", ["Server", "Node", "Address", "Presents", "Database says"], nodes) : nothing("No Server was asked.", "Give octopus_server_url, or node endpoints, to see what each presents."),
      table("Server certificates, presented or pinned", ["Certificate", "Thumbprint", "Presented by", "Pinned by", "Kind", "Valid to"], listed, "Pinned by"));
  }
  function drawCodes() {
    const lines = codes.map((code) => {
      const entry = audit.codes[code];
      const count = (value) => el("td", { class: "digits" }, number(value));
      const found = entry.found ? el("button", { type: "button", class: "link", "aria-label": `Show ${several(entry.found, "finding")} of ${code}`, onclick: () => apply({ ...blank(), code: new Set([code]) }) }, number(entry.found)) : entry.judged ? "0" : el("span", { class: "soft" }, "not judged");
      return el("tr", null, el("th", { scope: "row" }, docs(`codes/${code}`, el("span", { class: "code" }, code))), el("td", null, badge(entry.severity)), el("td", null, entry.title), el("td", { class: "digits" }, found), count(entry.accepted), count(entry.judged),
        el("td", { class: `digits${entry.not_judged ? " unjudged" : ""}` }, el("span", null, number(entry.not_judged))), el("td", { class: "soft" }, entry.why_not.join("; ")));
    });
    byId("panel-codes").replaceChildren(table("Every code, and how much of it could be judged", ["Code", "Severity", "Finding", "Found", "Accepted", "Judged", "Not judged", "Why not"], lines, "Found Accepted Judged Not judged"));
  }
  const DRAW = { findings: drawFindings, matrix: drawMatrix, servers: drawServers, codes: drawCodes };

  // ---- Details of one Tentacle or one certificate, at the side
  let opener = null;
  function openDrawer(change) {
    if (byId("drawer").hidden) opener = document.activeElement;
    apply(change);
  }
  function closeDrawer() {
    apply({ open: "", certificate: "" });
    if (state.view === "matrix" && grid.list.length) focusCell(grid.at.row, grid.at.column);
    else (opener?.isConnected ? opener : document.querySelector('.finding[tabindex="0"]') || byId("results")).focus();
    opener = null;
  }
  function drawDrawer() {
    const row = rowOf.get(state.open);
    const column = certificates.find((one) => one.thumbprint === state.certificate);
    const box = byId("drawer");
    const was = box.hidden;
    box.hidden = !row && !column;
    if (box.hidden) return box.replaceChildren();
    box.replaceChildren(...(row ? aboutTentacle(row) : aboutCertificate(column)));
    box.scrollTop = 0;
    if (was) box.querySelector(".close").focus({ preventScroll: true });
    return undefined;
  }
  const drawerHead = (title, ...marks) => [el("div", { class: "drawer-head" }, el("h2", { id: "drawer-title" }, title), el("button", { type: "button", class: "ghost close", "aria-label": "Close the details", onclick: closeDrawer }, "Close")), el("p", { class: "drawer-marks" }, ...marks)];
  const facts = (...pairs) => el("dl", null, pairs.filter(Boolean).map(([name, value, copied]) => [el("dt", null, name), el("dd", null, el("span", null, value), copied && copyButton(copied, "Thumbprint", `Copy: ${name}`))]));
  const print40 = (name, value, absent) => [name, value ? thumb(value, true) : absent, value];
  function aboutTentacle({ tentacle, found }) {
    const has = (list) => list.join(", ") || "none";
    const unread = (source) => sourceWords(tentacle.sources[source].state, tentacle.sources[source].reason);
    const made = tentacle.certificate;
    return [
      drawerHead(tentacle.id, badge(tentacle.severity), `${tentacle.style}${tentacle.endpoint ? ` at ${tentacle.endpoint}` : ""}`),
      found.length > 0 && [el("h3", null, several(found.length, "finding")), found.map((item) => findingRow(item, true))],
      el("h3", null, "Whom it trusts"), trustTable(tentacle),
      el("h3", null, "Its own certificate"),
      facts(["Sources", { agrees: "say the same", differs: "differ", disputed: "dispute it", single: "only one was read", not_read: "none was read" }[tentacle.identity]], print40("On the wire", tentacle.presented, unread("wire")), print40("On disk", tentacle.on_disk, unread("disk")),
        ...tentacle.records.map((record) => print40(record.id, record.thumbprint, "none")), made && ["Kind", [made.signature_algorithm, made.key, made.not_after && `until ${day(made.not_after)}`].filter(Boolean).join(", ")]),
      el("h3", null, "What was read"), facts(...Object.keys(SOURCE).map((source) => [SOURCE[source].title, unread(source)])),
      el("h3", null, "Where it belongs"),
      facts(["Host", tentacle.host || "no host of the inventory"], ["Instance", tentacle.instance || "not known"], tentacle.subscription && ["Subscription", el("span", { class: "code" }, tentacle.subscription)], ["Spaces", has(tentacle.spaces)], ["Environments", has(tentacle.environments)], ["Roles", has(tentacle.roles)],
        ["Started", minute(tentacle.started_at) || "not read"], ["Restart pending", tentacle.restart_pending]),
      el("h3", null, several(tentacle.records.length, "record")),
      tentacle.records.length ? el("table", null, el("thead", null, el("tr", null, ["Record", "Space", "Kind", "Health"].map((head) => el("th", { scope: "col" }, head)))), el("tbody", null, tentacle.records.map((record) => el("tr", null, el("td", null, `${record.name} (${record.id})`), el("td", null, record.space), el("td", null, record.kind),
        el("td", null, [record.is_disabled && "disabled", record.health, record.last_contact && `last contact ${minute(record.last_contact)}`].filter(Boolean).join(", ")))))) : el("p", { class: "soft" }, tentacle.sources.database.state === "read" ? "No record of this Server has it." : `The database was ${unread("database")}.`),
    ].flat(2).filter(Boolean);
  }
  function trustTable(tentacle) {
    const lines = certificates.filter((column) => column.ours || tentacle.cells[column.thumbprint]).map((column) => {
      const cell = cellOf(tentacle, column);
      return el("tr", { class: column.thumbprint === state.certificate ? "asked" : "" }, el("th", { scope: "row" }, column.label, el("br"), thumb(column.thumbprint)), el("td", null, cellOf(tentacle, column, true)),
        el("td", null, answers(tentacle, cell).map(([source, words]) => el("div", null, el("span", { class: "soft" }, `${SOURCE[source].title}: `), words))));
    });
    return el("table", null, el("thead", null, el("tr", null, ["Certificate", "State", "What the sources say"].map((head) => el("th", { scope: "col" }, head)))), el("tbody", null, lines));
  }
  function aboutCertificate(column) {
    const states = tally(audit.tentacles.map((tentacle) => look(cellOf(tentacle, column))));
    return [
      drawerHead(column.label, column.ours && el("span", { class: "tag" }, "ours"), column.retired && el("span", { class: "tag" }, "retired"), "Server certificate"),
      el("h3", null, "Facts"),
      facts(print40("Thumbprint", column.thumbprint), ["Presented by", column.presented_by.join(", ") || "nobody that was asked"], ["Pinned by", several(column.pinned_by, "Tentacle")], ["Signature", column.signature_algorithm || "not read"], ["Key", column.key || "not read"], ["Valid to", day(column.not_after) || "not read"]),
      el("h3", null, "How it stands with the Tentacles"),
      el("table", null, el("tbody", null, Object.keys(CELL).filter((name) => states.get(name)).map((name) => el("tr", null, el("td", null, cellBox(name, isAlarm(column, { state: name }))), el("td", null, several(states.get(name), "Tentacle")), el("td", { class: "soft" }, CELL[name].means))))),
      el("p", null, el("br"), el("button", { type: "button", class: "ghost", onclick: () => apply({ ...blank(), view: "matrix", q: column.thumbprint }) }, "Show the Tentacles that have to do with it")),
    ].flat(2).filter(Boolean);
  }

  // ---- Lists to take along
  const quoted = (value) => {
    const text = String(value ?? "");
    // A spreadsheet runs what starts like this.
    const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\r;]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
  };
  function asCsv() {
    const lines = state.view === "matrix"
      ? [["tentacle", "host", "instance", "style", "endpoint", "spaces", "environments", "severity", "findings", "identity", "presented", ...certificates.map((column) => `${column.label} ${column.thumbprint}`)],
        ...grid.list.map(({ tentacle, found }) => [tentacle.id, tentacle.host, tentacle.instance, tentacle.style, tentacle.endpoint, tentacle.spaces.join(" "), tentacle.environments.join(" "), tentacle.severity, [...new Set(found.map((item) => item.finding.code))].join(" "), tentacle.identity, tentacle.presented,
          ...certificates.map((column) => cellOf(tentacle, column).state)])]
      : [["severity", "code", "subject", "host", "spaces", "environments", "status", "accepted_until", "accepted_reason", "count", "seen", "remedy", "id"],
        ...shown.findings.map(({ finding }) => [finding.severity, finding.code, finding.subject, finding.host, finding.spaces.join(" "), finding.environments.join(" "), finding.status, finding.accepted?.until, finding.accepted?.reason, finding.count, finding.seen, finding.remedy, finding.id])];
    return lines.map((line) => line.map(quoted).join(",")).join("\r\n");
  }

  // ---- Theme, keys, paper
  const THEMES = ["auto", "light", "dark"];
  const kept = { get: () => { try { return localStorage.getItem("octo-audit-theme"); } catch { return null; } }, set: (value) => { try { localStorage.setItem("octo-audit-theme", value); } catch { /* a page from a file may keep nothing */ } } };
  function dress(theme) {
    document.documentElement.dataset.theme = theme;
    byId("theme").textContent = { auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark" }[theme];
  }
  function paper(on) {
    printing = on;
    if (on) {
      document.querySelectorAll("#changes details").forEach((box) => { box.open = true; });
      Object.values(DRAW).forEach((draw) => draw());
    } else {
      for (const view of Object.keys(VIEWS)) dirty.add(view);
      drawView();
    }
  }
  function buildKeys() {
    const keys = [["/", "search"], ["Tab", "next group of controls"], ["\u2191 \u2193", "next finding, next row"], ["\u2190 \u2192", "next view, next column"], ["Home End", "first, last"], ["Ctrl Home", "first row"], ["Enter", "details of a Tentacle or certificate"], ["C", "copy the thumbprint of the column"], ["Esc", "close details, leave the search"], ["1 2 3 4", "Findings, Matrix, Servers, Codes"]];
    byId("keys").replaceChildren(el("h2", { id: "keys-title" }, "Keys"), el("dl", null, keys.map(([key, does]) => [el("dt", null, key.split(" ").flatMap((one) => [el("kbd", null, one), " "])), el("dd", null, does)])), el("button", { type: "button", class: "ghost", onclick: () => byId("keys").close() }, "Close"));
  }
  function onKey(event) {
    const typing = event.target.closest("input, textarea, [contenteditable]");
    if (event.key === "Escape") {
      const menu = document.querySelector(".facet[open]");
      if (menu) {
        menu.open = false;
        menu.firstChild.focus();
      } else if (!byId("drawer").hidden) closeDrawer();
      else if (event.target === byId("search")) {
        apply({ q: "" });
        byId("search").blur();
      }
    } else if (typing || event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
    else if (event.key === "/") {
      event.preventDefault();
      byId("search").focus();
      byId("search").select();
    } else if (event.key === "?") byId("keys").showModal();
    else if (Object.keys(VIEWS)[Number(event.key) - 1]) apply({ view: Object.keys(VIEWS)[Number(event.key) - 1] });
  }
  function start() {
    dress(THEMES.includes(kept.get()) ? kept.get() : "auto");
    byId("theme").addEventListener("click", () => {
      const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
      kept.set(next);
      dress(next);
    });
    byId("print").addEventListener("click", () => window.print());
    byId("help").addEventListener("click", () => byId("keys").showModal());
    byId("copy-link").addEventListener("click", (event) => copy(location.href, "Link to this view", event.currentTarget));
    byId("copy-csv").addEventListener("click", (event) => copy(asCsv(), state.view === "matrix" ? several(grid.list.length, "Tentacle") : several(shown.findings.length, "finding"), event.currentTarget));
    window.addEventListener("beforeprint", () => paper(true));
    window.addEventListener("afterprint", () => paper(false));
    window.addEventListener("hashchange", () => apply(fromHash()));
    window.addEventListener("resize", () => state.view === "matrix" && grid.list.length && drawWindow());
    document.addEventListener("keydown", onKey);
    document.addEventListener("click", (event) => document.querySelectorAll(".facet[open]").forEach((box) => { if (!box.contains(event.target)) box.open = false; }));
    buildKeys();
    buildBar();
    drawOverview();
    apply(fromHash());
    performance.mark("audit-shown");
  }
  start();
})();
