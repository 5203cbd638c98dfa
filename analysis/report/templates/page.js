// Folded parts open when a link leads into them, and all of them for printing.
function openAt(target) {
  for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
}
function follow() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target) { openAt(target); target.scrollIntoView(); }
}
window.addEventListener("hashchange", follow);
document.addEventListener("click", event => {  // the same link once more, after the part was closed
  const link = event.target.closest('a[href^="#"]');
  if (link && link.getAttribute("href") === location.hash) follow();
});
window.addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
  for (const image of document.images) image.loading = "eager";
});

// Figures are stored compressed; each is unpacked once, and drawn when it is shown.
async function unpack(place) {
  const bytes = Uint8Array.from(atob(place.dataset.packed), letter => letter.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const svg = new Blob([await new Response(plain).arrayBuffer()], { type: "image/svg+xml" });
  place[place.tagName === "SOURCE" ? "srcset" : "src"] = URL.createObjectURL(svg);
  delete place.dataset.packed;
}
Promise.all([...document.querySelectorAll("source[data-packed], img[data-packed]")].map(unpack)).then(() => {
  document.documentElement.dataset.ready = "yes";
  if (location.hash) follow();
});

// A box whose content is wider than the screen says so, until its end is reached.
function mark(box) {
  box.classList.toggle("more-right", box.scrollLeft + box.clientWidth < box.scrollWidth - 4);
}
const seen = new ResizeObserver(entries => entries.forEach(entry => mark(entry.target)));
for (const box of document.querySelectorAll(".wide")) {
  seen.observe(box);
  box.addEventListener("scroll", () => mark(box), { passive: true });
  if (box.querySelector("img")) box.querySelector("img").addEventListener("load", () => mark(box));
  box.tabIndex = 0;
}

// A click on the heading of a column sorts the table by it, another one the other way round.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach(h => h.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const sign = down ? -1 : 1;
    const value = row => row.cells[column].dataset.value;
    const compare = (a, b) => {
      const x = value(a), y = value(b);
      if (x === "" || y === "") return (x === "") - (y === "");
      const numeric = !isNaN(x) && !isNaN(y);
      return sign * (numeric ? x - y : x.localeCompare(y));
    };
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
  }));
}
