"use strict";
// Shows the cells of a family that have all words that are asked for.

const word = document.getElementById("word");
const family = document.getElementById("family");
const articles = [...document.querySelectorAll("article")];

function filter() {
  const words = word.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const article of articles) {
    const text = article.textContent.toLowerCase();
    const fits = (!family.value || article.dataset.family === family.value) && words.every((w) => text.includes(w));
    article.hidden = !fits;
    document.querySelector(`nav a[href="#${CSS.escape(article.id)}"]`).parentElement.hidden = !fits;
    shown += fits;
  }
  document.getElementById("count").textContent = `${shown} of ${articles.length} cells`;
}
word.addEventListener("input", filter);
family.addEventListener("change", filter);
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
// a link to a cell that the filter hides shows it again
addEventListener("hashchange", () => {
  const asked = document.getElementById(location.hash.slice(1));
  if (asked && asked.hidden) { word.value = ""; family.value = ""; filter(); asked.scrollIntoView(); }
});
// a diagram keeps its size, so that its text stays readable; where it is wider than the screen, a line says so
function hints() {
  for (const drawing of document.querySelectorAll(".drawing")) {
    drawing.previousElementSibling.hidden = drawing.scrollWidth <= drawing.clientWidth;
  }
}
addEventListener("resize", hints);
filter();
hints();
