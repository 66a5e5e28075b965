"use strict";
// What the page does if scripts are on: filter, search, open, copy. It makes nothing that the page
// does not have already, and writes text as text only; without it all can be read all the same.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  const make = (tag, text = "", values = {}) =>
    Object.assign(document.createElement(tag), { textContent: text, ...values });

  const FIELDS = ["state", "stage", "probe", "vlan", "host", "node", "q"];
  const panel = one("#filter");
  const inputs = Object.fromEntries(FIELDS.map((name) => [name, one(`[name=${name}]`, panel)]));
  const KINDS = { FAIL: "fail", "??": "unproved", block: "block", "1-way": "block", ".": "none" };
  const kindOf = (word) => KINDS[word.replace(/\*$/, "").split(" ")[0]] ?? "pass";

  // --- what is on the page ---------------------------------------------------------------------

  const places = new Map();
  for (const row of all("#part-nodes tbody tr")) {
    const [name, vlan, host] = [...row.cells].map((cell) => cell.textContent);
    places.set(name, { vlan, host });
    inputs.node.append(make("option", name, { value: name }));
  }
  const members = new Map(all(".members").map((element) => [
    element.dataset.group, all("span", one("p", element)).map((name) => name.textContent)]));
  const keyOf = (...parts) => JSON.stringify(parts);
  const pairs = all(".pair").map((element) => {
    const { stage, src, dst, layer } = element.dataset;
    const title = one("summary", element).textContent.toLowerCase();
    const blocks = all(".alike", element).map((block) => ({
      element: block,
      state: block.classList[1],
      rows: all("tr[data-word]", block).map((row) => ({
        element: row, probe: one("th", row).textContent, word: row.dataset.word })),
    }));
    return { element, stage, src, dst, title, blocks, key: keyOf(stage, layer, src, dst) };
  });
  const byKey = new Map(pairs.map((pair) => [pair.key, pair]));
  const byElement = new Map(pairs.map((pair) => [pair.element, pair]));
  const fields = all(".grid td").map((element) => {
    const table = element.closest("table"), row = element.parentElement;
    const src = one("th", row).textContent;
    const dst = table.tHead.rows[0].cells[element.cellIndex].textContent;
    const { stage, layer } = table.dataset;
    const word = element.textContent;
    return { element, stage, src, dst, word, pair: byKey.get(keyOf(stage, layer, src, dst)) };
  });
  const textOf = (block) => (block.text ??= block.element.textContent.toLowerCase());

  // --- what is asked for -----------------------------------------------------------------------

  const asked = () => Object.fromEntries(FIELDS.map((name) => [name, inputs[name].value]));

  function related(name, wish) {
    const nodes = members.get(name) ?? [name];
    return nodes.some((node) => {
      const place = places.get(node) ?? {};
      return (!wish.node || node === wish.node)
        && (!wish.vlan || place.vlan === wish.vlan)
        && (!wish.host || place.host === wish.host);
    });
  }
  const wants = (entry, wish) => (!wish.stage || entry.stage === wish.stage)
    && (related(entry.src, wish) || related(entry.dst, wish));

  function filterPair(pair, wish, words) {
    const asks = wants(pair, wish);
    pair.shown = 0;
    pair.word = "";
    for (const block of pair.blocks) {
      const fits = asks && (!wish.state || block.state === wish.state)
        && words.every((word) => pair.title.includes(word) || textOf(block).includes(word));
      let shown = 0;
      for (const row of block.rows) {
        const hidden = !fits || (wish.probe !== "" && row.probe !== wish.probe);
        row.element.hidden = hidden;
        if (!hidden) {
          shown += 1;
          pair.word ||= row.word;
        }
      }
      block.element.hidden = shown === 0;
      pair.shown += shown;
    }
    pair.element.hidden = pair.shown === 0;
  }

  function paintField(field, wish) {
    const kind = kindOf(field.word), state = ["fail", "unproved"].includes(kind) ? kind : "pass";
    // Of a pair that is not told cell by cell, its state is all that is known.
    const known = field.pair ? field.pair.shown > 0
      : wants(field, wish) && (!wish.state || wish.state === state);
    field.element.classList.toggle("dim", !known);
    const word = wish.probe && field.pair && known ? field.pair.word : field.word;
    (one("a", field.element) ?? field.element).textContent = word;
    field.element.classList.remove("pass", "block", "fail", "unproved", "none");
    field.element.classList.add(kindOf(word));
  }

  function apply() {
    const wish = asked(), words = wish.q.toLowerCase().split(/\s+/).filter(Boolean);
    for (const pair of pairs) filterPair(pair, wish, words);
    for (const field of fields) paintField(field, wish);
    for (const table of all(".grid[data-stage]"))
      table.parentElement.hidden = wish.stage !== "" && table.dataset.stage !== wish.stage;
    for (const heading of all("#part-cells ~ h3"))
      heading.hidden = !pairs.some((each) => each.shown && each.stage === heading.textContent);
    for (const sent of all(".sent"))
      sent.hidden = !wants({ ...sent.dataset, dst: sent.dataset.src }, wish);
    for (const node of all(".node")) {
      const host = places.get(wish.node)?.host;
      node.hidden = !related(node.dataset.node, wish) && node.dataset.node !== host;
    }
    for (const drawn of all("#lab [data-pick]")) {
      const on = isPicked(drawn, wish);
      drawn.classList.toggle("picked", on);
      drawn.setAttribute("aria-pressed", String(on));
    }
    const cells = pairs.reduce((sum, pair) => sum + pair.shown, 0);
    const told = pairs.reduce((sum, pair) => sum + pair.blocks.reduce((n, b) => n + b.rows.length, 0), 0);
    const any = FIELDS.some((name) => wish[name]);
    const left = Number(panel.dataset.left);
    one("output", panel).textContent = `${cells} of ${told} cells`
      + (left && any ? `; ${left} more, which all are in report.json, are not searched` : "");
    one("button", panel).hidden = !any;
  }

  // --- where the reader is: the fragment --------------------------------------------------------

  function write(open = "", push = false) {
    const wish = asked();
    const parts = new URLSearchParams(Object.entries(wish).filter(([, value]) => value));
    const plain = parts.size === 0;
    if (!plain && open) parts.set("open", open);
    const hash = plain ? (open ? `#${encodeURIComponent(open)}` : "#") : `#?${parts}`;
    history[push ? "pushState" : "replaceState"](null, "", hash);
  }

  function read() {
    const hash = location.hash.slice(1);
    const parts = new URLSearchParams(hash.startsWith("?") ? hash.slice(1) : "");
    for (const name of FIELDS) inputs[name].value = parts.get(name) ?? "";
    apply();
    let open = parts.get("open") ?? "";
    try {
      open ||= hash.startsWith("?") ? "" : decodeURIComponent(hash);
    } catch {
      open = "";  // a fragment that somebody cut
    }
    if (open) reveal(open);
  }

  function reveal(id) {
    const target = document.getElementById(id);
    if (!target) return;
    for (let each = target; each; each = each.parentElement) {
      each.hidden = false;
      if (each.tagName === "DETAILS") each.open = true;
    }
    for (const old of all(".target")) old.classList.remove("target");
    target.classList.add("target");
    if (target.dataset.runs && !target.nextElementSibling?.classList.contains("drawn")) draw(target);
    const focus = target.tagName === "DETAILS" ? one("summary", target) : target;
    if (focus === target) target.tabIndex = -1;
    focus.focus({ preventScroll: true });
    target.scrollIntoView();
  }

  // --- pairs of groups, one by one --------------------------------------------------------------

  function draw(row) {
    const { stage, layer, src } = row.closest(".sent").dataset;
    const from = members.get(src) ?? [], to = members.get(one("th", row).textContent) ?? [];
    const words = row.dataset.runs.split("|").flatMap((run) => {
      const [, count, word] = run.match(/^(\d+) (.*)$/);
      return Array(Number(count)).fill(word);
    });
    const table = make("table", "", { className: "grid" });
    table.append(make("caption", `${stage}, layer ${layer}: pair by pair`));
    const head = table.createTHead().insertRow(), body = table.createTBody();
    for (const name of ["from", ...to]) head.append(make("th", name, { scope: "col" }));
    for (const [at, name] of from.entries()) {
      const line = body.insertRow();
      line.append(make("th", name, { scope: "row" }));
      for (const [place, other] of to.entries()) {
        const word = words[at * to.length + place];
        const pair = byKey.get(keyOf(stage, layer, name, other));
        const cell = make("td", pair ? "" : word, { className: kindOf(word) });
        if (pair) cell.append(make("a", word, { href: `#${pair.element.id}` }));
        line.append(cell);
      }
    }
    const wide = make("div", "", { className: "wide", tabIndex: 0 });
    wide.append(table);
    const holder = make("tr", "", { className: "drawn" });
    holder.append(make("td", "", { colSpan: 3 }));
    holder.firstChild.append(wide);
    row.after(holder);
  }

  for (const row of all("tr[data-runs]")) {
    const button = make("button", "pair by pair", { type: "button" });
    button.addEventListener("click", () => {
      const drawn = row.nextElementSibling;
      if (drawn?.classList.contains("drawn")) drawn.remove();
      else draw(row);
    });
    row.lastElementChild.append(" ", button);
  }

  // --- copying ----------------------------------------------------------------------------------

  async function copy(element, button) {
    try {
      await navigator.clipboard.writeText(element.textContent);
      button.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(element);
      button.textContent = "selected";
    }
  }

  function offer(root) {
    for (const element of all("code, pre", root)) {
      if (element.nextElementSibling?.classList.contains("copy")) continue;
      if (!element.textContent || element.closest("details") !== root.closest("details")) continue;
      const button = make("button", "copy", { type: "button", className: "copy" });
      button.setAttribute("aria-label", `copy ${element.textContent.slice(0, 40)}`);
      button.addEventListener("click", () => copy(element, button));
      element.after(button);
    }
  }

  document.addEventListener("toggle", (event) => event.target.open && offer(event.target), true);
  offer(document.body);
  for (const details of all("details[open]")) offer(details);

  // --- mouse and keys ---------------------------------------------------------------------------

  function picked(drawn) {
    const [, kind, value] = drawn.dataset.pick.match(/^(\S+) (.*)$/s);
    if (kind !== "group") return { vlan: "", host: "", node: "", [kind]: value };
    const [, vlan, host] = value.match(/^(\d+) (.*)$/s);
    return { vlan, host, node: "" };
  }
  const isPicked = (drawn, wish) =>
    Object.entries(picked(drawn)).every(([name, value]) => wish[name] === value);

  function pick(drawn) {
    const again = isPicked(drawn, asked());
    for (const [name, value] of Object.entries(picked(drawn)))
      inputs[name].value = again ? "" : value;
    apply();
    write();
  }

  one("#lab").setAttribute("role", "group");
  for (const drawn of all("#lab [data-pick]")) {
    drawn.setAttribute("tabindex", "0");
    drawn.setAttribute("role", "button");
    drawn.setAttribute("aria-label", `only ${all("text", drawn).map((text) => text.textContent).join(" ")}`);
  }

  let cameFrom = null;  // the field of a matrix that opened what is open

  function neighbour(link, key) {
    const cell = link.closest("td"), row = cell.parentElement;
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[key];
    const rows = [...row.parentElement.rows];
    let line = rows.indexOf(row), column = cell.cellIndex;
    for (;;) {
      line += step[0];
      column += step[1];
      const next = rows[line]?.cells[column];
      if (!next) return null;
      if (one("a", next)) return one("a", next);
    }
  }

  function close(element) {
    const details = element?.closest("details[open]");
    if (!details) return false;
    details.open = false;
    const back = byElement.has(details) && cameFrom ? cameFrom : one("summary", details);
    cameFrom = null;
    back.focus();
    write();
    return true;
  }

  document.addEventListener("click", (event) => {
    const drawn = event.target.closest("#lab [data-pick]");
    if (drawn) pick(drawn);
    const link = event.target.closest("a[href^='#']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.closest(".grid")) cameFrom = link;
    const id = decodeURIComponent(link.getAttribute("href").slice(1));
    write(id, true);
    reveal(id);
  });

  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = target.matches("input, select");
    let done = true;
    if (key === "/" && !typing) {
      inputs.q.focus();
      inputs.q.scrollIntoView({ block: "nearest" });
    } else if (key === "Escape" && target === inputs.q && target.value) {
      target.value = "";
      apply();
      write();
    } else if (key === "Escape" && !typing) done = close(target);
    else if (key.startsWith("Arrow") && target.matches(".grid a")) neighbour(target, key)?.focus();
    else if ((key === "Enter" || key === " ") && target.matches("#lab [data-pick]")) pick(target);
    else done = false;
    if (done) event.preventDefault();
  });

  let waiting = 0;
  panel.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      apply();
      write();
    }, 80);  // while somebody types
  });
  one("button", panel).addEventListener("click", () => {
    for (const name of FIELDS) inputs[name].value = "";
    apply();
    write();
    inputs.q.focus();
  });
  window.addEventListener("popstate", read);

  panel.hidden = false;
  read();
})();
