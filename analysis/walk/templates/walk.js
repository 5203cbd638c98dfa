"use strict";
// Writes the numbers of the chosen unit, step and moment of training into the diagram, the strips and the table.
//
// The data: `numbers` holds float32 values, by moment, row, unit and step. The rows are the values of all parts, then
// the derivatives of the loss by them, then the terms of the weighted sums.

const data = JSON.parse(document.getElementById("data").textContent);
const bytes = Uint8Array.from(atob(data.numbers), (sign) => sign.charCodeAt(0));
const numbers = new DataView(bytes.buffer);
const now = { moment: data.moments.length - 1, unit: data.kept.indexOf(data.unit), step: 0, part: 0, timer: 0 };
const byNode = new Map(data.parts.map((part, k) => [part.node, k]));
const find = (id) => document.getElementById(id);

function number(row, step) {
  const place = ((now.moment * data.rows + row) * data.kept.length + now.unit) * data.steps + step;
  return numbers.getFloat32(4 * place, true);
}
const value = (k, step = now.step) => number(k, step);
const slope = (k, step = now.step) => number(data.parts.length + k, step);
const term = (k) => number(2 * data.parts.length + k, now.step);

// Numbers as text of at most six characters
function short(v, digits = 2) {
  if (!Number.isFinite(v)) return Number.isNaN(v) ? "NaN" : v > 0 ? "∞" : "−∞";
  if (v === 0) return "0";
  const size = Math.abs(v);
  let text;
  if (size >= 1000 || size < 0.5 * 10 ** -digits) {
    const [mantissa, power] = size.toExponential(0).split("e");
    text = `${mantissa}e${Number(power)}`;
  } else {
    text = size.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : digits);
  }
  return (v < 0 ? "−" : "") + text;
}
const steep = (v) => short(v, Math.abs(v) >= 1 ? 2 : 3);
const narrow = (v) => short(v, Math.abs(v) >= 0.0995 ? 2 : 3).replace(/0(?=\.\d{3})/, ""); // 5 characters beside a wire
const plain = (v) => (Math.abs(v) < 1000 ? (v.toFixed(2) === "-0.00" ? "0.00" : v.toFixed(2).replace("-", "−")) : short(v));

// Strips: one row for each input, gate and state, one column for each step
function background(v, largest, strongest = 75) {
  if (!Number.isFinite(v) || largest === 0) return "";
  const share = Math.round(strongest * Math.min(1, Math.abs(v) / largest));
  return `color-mix(in srgb, ${v < 0 ? "#4f8fd0" : "#f0932b"} ${share}%, white)`;
}
const strips = [];
const squashed = data.parts.map((_, k) => k).filter((k) => ["gate", "content"].includes(data.parts[k].kind) && data.parts[k].name);
for (const k of [...squashed, ...data.states]) {
  strips.push({ part: k, name: data.parts[k].name, read: (t) => value(k, t), text: plain });
}
for (const k of data.trusted ? data.states : []) {
  strips.push({ part: k, name: `∂loss/∂${data.parts[k].name}`, red: true, read: (t) => slope(k, t), text: steep });
}

function row(table, name, className, cells) {
  const line = table.insertRow();
  line.className = className;
  const head = document.createElement("th");
  head.scope = "row";
  head.innerHTML = name; // typeset by Python, which escapes it
  line.append(head);
  for (let t = 0; t < data.steps; t++) {
    const cell = line.insertCell();
    cell.dataset.step = t;
    cells(cell, t);
  }
  return line;
}

function build() {
  const table = find("strips");
  row(table, "step", "steps", (cell, t) => {
    cell.textContent = t + 1;
    if (data.marked[t]) cell.classList.add("marked");
  });
  for (const input of data.inputs) {
    const largest = Math.max(...input.values.map(Math.abs));
    row(table, input.name, "input", (cell, t) => {
      cell.textContent = input.text ? input.values[t] : short(input.values[t]);
      if (!input.text) cell.style.background = background(input.values[t], largest);
    });
  }
  if (data.targets.some((text) => text)) {
    row(table, "target", "target", (cell, t) => { cell.textContent = data.targets[t]; });
  }
  if (data.answers.some((texts) => texts.some((text) => text))) {
    find("strips").dataset.answers = "yes";
    row(table, "answer", "answer", () => {});
  }
  for (const strip of strips) {
    strip.line = row(table, strip.name, strip.red ? "number slope" : "number", () => {});
    strip.line.cells[0].addEventListener("pointerenter", () => choose(strip.part));
  }
  table.addEventListener("click", (event) => {
    const cell = event.target.closest("td");
    if (cell) move(Number(cell.dataset.step));
  });
  table.classList.toggle("many", data.steps > 16);

  const list = find("all");
  for (const [k, part] of data.parts.entries()) {
    if (part.kind === "constant") continue;
    const line = list.insertRow();
    line.dataset.part = k;
    line.insertCell().innerHTML = part.equation;
    line.insertCell().className = "value";
    line.insertCell().className = "slope";
    line.addEventListener("pointerenter", () => choose(k));
  }
  for (const [k, unit] of data.kept.entries()) find("unit").add(new Option(unit, k, false, k === now.unit));
  find("step").max = data.steps;
}

// What is written again whenever unit, step or moment change
function show() {
  find("step").value = now.step + 1;
  find("at").textContent = `step ${now.step + 1} of ${data.steps}`;
  for (const text of document.querySelectorAll("#drawing text.number")) write(text, value, narrow);
  for (const text of document.querySelectorAll("#drawing text.slope")) write(text, slope, narrow);
  for (const strip of strips) {
    const all = Array.from({ length: data.steps }, (_, t) => strip.read(t));
    const largest = Math.max(strip.red ? 0 : 1, ...all.map(Math.abs).filter(Number.isFinite));
    all.forEach((v, t) => {
      const cell = strip.line.cells[t + 1];
      cell.textContent = strip.text(v);
      cell.style.background = background(v, largest, strip.red ? 40 : 75);
    });
  }
  const answers = document.querySelector("#strips tr.answer");
  if (answers) data.answers[now.moment].forEach((text, t) => { answers.cells[t + 1].textContent = text; });
  for (const cell of find("strips").querySelectorAll("td")) {
    cell.classList.toggle("now", Number(cell.dataset.step) === now.step);
  }
  for (const line of find("all").rows) {
    const k = Number(line.dataset.part);
    line.cells[1].textContent = short(value(k), 4);
    line.cells[2].textContent = data.trusted ? short(slope(k), 5) : "";
  }
  find("loss").textContent = data.moments[now.moment].loss.toPrecision(2);
  explain();
}

function write(text, read, format) {
  const k = byNode.get(Number(text.dataset.value));
  const shown = k !== undefined && data.parts[k].kind !== "constant";
  text.textContent = shown && (data.trusted || read === value) ? format(read(k)) : "";
}

// The part under the pointer: its equation, the same with numbers, and what it does
function explain() {
  const part = data.parts[now.part];
  find("equation").innerHTML = part.equation;
  find("filled").innerHTML = filled(now.part);
  find("words").textContent = part.words;
  find("worth").textContent = short(value(now.part), 4);
  find("steepness").textContent = data.trusted ? short(slope(now.part), 5) : "not shown";
  for (const group of document.querySelectorAll("#drawing [data-value]")) {
    group.classList.toggle("chosen", byNode.get(Number(group.dataset.value)) === now.part);
  }
}

function filled(k) {
  const part = data.parts[k];
  const own = short(value(k), 3);
  if (part.gate) {
    const terms = data.terms.map((one, j) => [one, j]).filter(([one]) => one.gate === part.gate);
    return terms.map(([one, j]) => `${bracket(short(term(j), 3))} <small>${one.name}</small>`).join(" + ") + ` = ${own}`;
  }
  const of = part.operands.map((node) => short(value(byNode.get(node)), 3));
  const sign = { add: "+", sub: "−", mul: "·", div: "/" }[part.operation];
  if (sign) return `${bracket(of[0])} ${sign} ${bracket(of[1])} = ${own}`;
  const name = { sigmoid: "σ", tanh: "tanh" }[part.operation];
  return name ? `${name}(${of[0]}) = ${own}` : own;
}
const bracket = (text) => (text.startsWith("−") ? `(${text})` : text);

// What a reader does
function move(step) {
  now.step = Math.max(0, Math.min(data.steps - 1, step));
  show();
  const [box, cell] = [find("strips").parentElement, find("strips").rows[0].cells[now.step + 1]];
  const left = cell.offsetLeft - find("strips").rows[0].cells[0].offsetWidth; // behind the names, which stay in view
  const right = cell.offsetLeft + cell.offsetWidth;
  if (left < box.scrollLeft || right > box.scrollLeft + box.clientWidth) box.scrollLeft = left;
}
function choose(k) {
  now.part = k;
  explain();
}
function play(on) {
  clearInterval(now.timer);
  now.timer = 0;
  find("play").textContent = on ? "❚❚ stop" : "▶ play";
  if (!on) return;
  if (now.step === data.steps - 1) move(0);
  now.timer = setInterval(() => (now.step < data.steps - 1 ? move(now.step + 1) : play(false)), 900);
}
find("step").addEventListener("input", (event) => move(event.target.value - 1));
find("back").addEventListener("click", () => move(now.step - 1));
find("on").addEventListener("click", () => move(now.step + 1));
find("play").addEventListener("click", () => play(!now.timer));
find("unit").addEventListener("change", (event) => { now.unit = Number(event.target.value); show(); });
for (const choice of document.querySelectorAll("input[name=moment]")) {
  choice.addEventListener("change", () => { now.moment = Number(choice.value); show(); });
}
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select") || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "ArrowRight") move(now.step + 1);
  else if (event.key === "ArrowLeft") move(now.step - 1);
  else return;
  event.preventDefault();
});
for (const kind of ["pointerover", "click"]) {
  find("drawing").addEventListener(kind, (event) => {
    const group = event.target.closest("[data-value]");
    const k = group && byNode.get(Number(group.dataset.value));
    if (k !== null && k !== undefined) choose(k);
  });
}

function hint() {
  const line = document.querySelector(".hint");
  if (line) line.hidden = find("drawing").scrollWidth <= find("drawing").clientWidth;
}
addEventListener("resize", hint);

now.part = data.states[0];
now.step = Math.max(0, data.marked.indexOf(true));
build();
show();
hint();
