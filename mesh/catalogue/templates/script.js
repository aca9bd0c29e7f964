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
    const query = given.length ? `?q=${encodeURIComponent(words.value)}` : "";
    // A page that was opened as a file may not change its own address.
    if (location.protocol !== "file:") {
      history.replaceState(null, "", `${location.pathname}${query}${given.length ? "" : location.hash}`);
    }
  };

  document.getElementById("search").hidden = false;
  const asked = new URLSearchParams(location.search).get("q");
  if (asked) {
    words.value = asked;
    show();
  }
  words.addEventListener("input", show);
}
