"use strict";

// Says that a product is late: the page itself knows no time but those of its releases and probes.
for (const time of document.querySelectorAll("time[data-due]")) {
  if (new Date(time.dateTime) < new Date()) {
    const late = document.createElement("strong");
    late.className = "warning";
    late.textContent = " (late)";
    time.after(late);
  }
}

// The picture of a wide lineage begins where its product stands.
for (const box of document.querySelectorAll(".lineage .focus rect")) {
  const frame = box.closest(".scroll");
  frame.scrollLeft = box.x.baseVal.value - (frame.clientWidth - box.width.baseVal.value) / 2;
}

for (const query of document.querySelectorAll("pre[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy: ${query.dataset.copy}`);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(query.textContent);
      button.textContent = "Copied";
    } catch {
      // Not every browser lets a page that was opened as a file write there: then it is marked, ready to be copied.
      getSelection().selectAllChildren(query);
      button.textContent = "Marked";
    }
  });
  query.after(button);
}

// A long table gets a box that leaves only the rows that have every word.
const LONG = 12;
for (const table of document.querySelectorAll("table.stack")) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < LONG || !table.caption) continue;
  const box = document.createElement("div");
  box.className = "filter";
  const label = document.createElement("label");
  const input = document.createElement("input");
  const told = document.createElement("span");
  input.type = "search";
  input.id = `filter-${document.querySelectorAll(".filter").length}`;
  label.htmlFor = input.id;
  label.textContent = `Only ${table.tHead.rows[0].cells[0].textContent.toLowerCase()}s with`;
  told.setAttribute("role", "status");
  box.append(label, input, told);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    const left = rows.filter((row) => !row.hidden).length;
    told.textContent = words.length ? `${left} of ${rows.length}` : "";
  });
  table.closest(".scroll").before(box);
}

const seek = document.querySelector("[data-index]");
if (seek) {
  seek.hidden = false;
  const input = seek.querySelector("input");
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && input.value.trim()) {
      location.href = `${seek.dataset.index}#q=${encodeURIComponent(input.value.trim())}`;
    }
  });
}

const data = document.getElementById("index");
if (data) {
  const MOST = 60;
  const items = [];
  for (const product of JSON.parse(data.textContent)) {
    const [domain, name] = product.p.split("/");
    const more = [product.d, product.o, ...product.t].join(" ");
    items.push({ title: product.p, names: [name, product.p, domain], text: more, about: product.d, page: product.u });
    for (const [anchor, column, about] of product.c) {
      items.push({ title: `${product.p}: ${column}`, names: [column], text: `${product.p} ${about}`, about,
        page: `${product.u}#${encodeURIComponent(anchor)}`, column: true });
    }
  }
  for (const item of items) {
    item.names = item.names.map((name) => name.toLowerCase());
    item.text = item.text.toLowerCase();
  }

  // How well one word fits: the whole name, its beginning, a part of it, the description; 0 where it is nowhere.
  const fit = (item, word) =>
    item.names.includes(word) ? 8
      : item.names.some((name) => name.startsWith(word)) ? 5
        : item.names.some((name) => name.includes(word)) ? 3
          : item.text.includes(word) ? 1 : 0;

  const find = (words) => items
    .map((item) => {
      const fits = words.map((word) => fit(item, word));
      return { item, score: fits.includes(0) ? 0 : fits.reduce((sum, one) => sum + one, item.column ? 0 : 1) };
    })
    .filter((found) => found.score > 0)
    .sort((one, other) => other.score - one.score || (one.item.title < other.item.title ? -1 : 1));

  const words = document.getElementById("words");
  const status = document.getElementById("found");
  const results = document.getElementById("results");
  const all = document.getElementById("all");

  const entry = ({ item }) => {
    const line = document.createElement("li");
    const link = document.createElement("a");
    link.href = item.page;
    link.textContent = item.title;
    const about = document.createElement("p");
    about.textContent = item.about;
    line.append(link, about);
    return line;
  };

  const show = () => {
    const given = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = given.length ? find(given) : [];
    all.hidden = given.length > 0;
    results.replaceChildren(...found.slice(0, MOST).map(entry));
    const shown = found.length > MOST ? `, the best ${MOST} shown` : "";
    status.textContent = given.length ? `${found.length} ${found.length === 1 ? "match" : "matches"}${shown}` : "";
    // In the fragment, which a page that was opened as a file may change too: the way back finds the search again.
    const asked = location.hash.startsWith("#q=");
    if (given.length || asked) {
      history.replaceState(null, "", given.length ? `#q=${encodeURIComponent(words.value)}` : location.pathname);
    }
  };

  // From the box to the results and through them; Enter in the box takes the best.
  document.getElementById("search").addEventListener("keydown", (event) => {
    const stops = [words, ...results.querySelectorAll("a")];
    const at = stops.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (at >= 0 && stops[to]) {
      stops[to].focus();
      event.preventDefault();
    } else if (event.key === "Enter" && at === 0 && stops[1]) {
      stops[1].click();
    } else if (event.key === "Escape" && at > 0) {
      words.focus();
    }
  });

  document.getElementById("search").hidden = false;
  const ask = () => {
    const asked = new URLSearchParams(location.hash.slice(1)).get("q");
    if (asked === null) return;
    words.value = asked;
    show();
  };
  ask();
  window.addEventListener("hashchange", ask);
  words.addEventListener("input", show);
}
