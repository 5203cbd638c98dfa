// The map: what became of the trials of each variant on each task. Its cells and headings choose trials.

// Return the numbers of each cell: [task][variant] -> {trials, solved, failed, rate, loss, score}.
function mapNumbers(study, rows) {
  const cells = study.tasks.map(() => study.variants.map(() => []));
  for (const row of rows) cells[study.trials.task[row]][study.trials.variant[row]].push(row);
  return cells.map((own, task) => own.map(trials => cellNumbers(study, study.tasks[task], trials)));
}

function cellNumbers(study, task, rows) {
  const usable = rows.filter(row => statusOf(study, row).name !== "failed");
  const solved = usable.filter(row => statusOf(study, row).name === "solved").length;
  const numbers = { trials: usable.length, failed: rows.length - usable.length, solved, share: NaN, text: "–", small: "" };
  if (!usable.length) return { ...numbers, small: numbers.failed ? `${numbers.failed} failed` : "" };
  if (task.solvable) {
    const share = solved / usable.length;
    return { ...numbers, share, text: `${Math.round(100 * share)} %`, small: `${solved}/${usable.length}` };
  }
  const best = usable.sort((a, b) => study.order[a] - study.order[b] || a - b);
  const decile = best.slice(0, Math.max(1, Math.ceil(usable.length / 10 - 1e-9)));
  const limit = task.limit ?? NaN;
  const losses = decile.map(row => {
    const loss = study.measure.test_loss?.values[row];
    return loss <= limit ? loss : limit;
  });
  const mean = list => list.reduce((sum, value) => sum + value, 0) / list.length;
  const score = mean(decile.map(row => study.measure.score?.values[row] ?? NaN));
  const loss = mean(losses);
  return { ...numbers, share: score, loss, text: loss >= 99.95 ? written(loss) : loss.toPrecision(3), small: `N ${usable.length}` };
}

function drawMap(study, state, change) {
  const rows = study.rows.filter(row => passes(study, state, row, ...SETS) && inRegion(study, state, row));
  const numbers = mapNumbers(study, rows);
  const table = $("map");
  const held = table.contains(document.activeElement) ? document.activeElement.dataset.key : "";
  table.className = study.tasks.length > 3 ? "many" : "";
  const head = element("tr", {}, element("td"));
  for (const task of study.tasks) head.append(element("th", { scope: "col" }, heading(state, "task", task, change)));
  const lines = study.variants.map((variant, v) => {
    const line = element("tr", {}, element("th", { scope: "row" }, heading(state, "variant", variant, change)));
    study.tasks.forEach((task, t) => line.append(element("td", {}, mapCell(state, task, variant, numbers[t][v], change))));
    return line;
  });
  table.replaceChildren(element("thead", {}, head), element("tbody", {}, ...lines));
  if (held) table.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus();
  $("map-says").textContent = mapSays(study, state);
  return numbers;
}

function mapSays(study, state) {
  const solvable = study.tasks.some(task => task.solvable), losses = study.tasks.some(task => !task.solvable);
  const what = [];
  if (solvable) what.push("Share of trials that solved the task, with solved / all.");
  if (losses) what.push("On a task without a criterion of success: mean test loss of the best tenth of the trials, with their number N.");
  what.push(state.region ? "Only trials of the region count here." : "", "Failed trials do not count. Click a cell or a heading to see its trials only.");
  return what.filter(Boolean).join(" ");
}

function heading(state, set, thing, change) {
  const name = element("span", {}, thing.words);
  const button = element("button", { type: "button" }, ...(set === "variant" ? [markOf(thing)] : []), name);
  if (!plainWords(thing)) button.append(element("code", {}, thing.name));
  button.title = thing.baseline ? `${thing.name}: the baseline, with which the others are compared` : thing.name;
  button.dataset.key = `${set}/${thing.name}`;
  button.setAttribute("aria-pressed", state[set].has(thing.name));
  button.onclick = () => change({ [set]: toggled(state[set], thing.name) });
  return button;
}

function mapCell(state, task, variant, numbers, change) {
  const button = element("button", { type: "button" }, numbers.text, element("small", {}, numbers.small));
  const only = (set, name) => state[set].size === 1 && state[set].has(name);
  const chosen = only("task", task.name) && only("variant", variant.name);
  const hidden = (set, name) => state[set].size && !state[set].has(name);
  const { background, ink } = Number.isNaN(numbers.share) ? { background: "#f0f0f0", ink: INK } : heat(numbers.share);
  if (hidden("task", task.name) || hidden("variant", variant.name)) {
    button.className = "outside";
    Object.assign(button.style, { background: "#fff", color: SOFT, borderBottomColor: background });
  } else Object.assign(button.style, { background, color: ink });
  button.dataset.key = `${task.name}/${variant.name}`;
  button.setAttribute("aria-pressed", chosen);
  button.setAttribute("aria-label", `${variant.words}, ${task.words}: ${numbers.text} (${numbers.small || "no trial"})`);
  button.onclick = () => change(chosen
    ? { task: new Set(), variant: new Set() }
    : { task: new Set([task.name]), variant: new Set([variant.name]) });
  return button;
}

function toggled(set, name) {
  const copy = new Set(set);
  copy.delete(name) || copy.add(name);
  return copy;
}

// Draw the buttons of a filter, each with how many trials it would show beside the other filters.
function drawFilter(study, state, set, things, change) {
  const counts = new Map(things.map(thing => [thing.name, 0]));
  for (const row of study.rows) {
    if (!passes(study, state, row, set)) continue;
    const name = set === "status" ? statusOf(study, row).name : String(taskOf(study, row).lag);
    counts.set(name, counts.get(name) + 1);
  }
  const box = $(set), legend = box.querySelector("legend");
  const held = box.contains(document.activeElement) ? document.activeElement.dataset.key : "";
  const shown = things.filter(thing => counts.get(thing.name) || state[set].has(thing.name) || thing.always);
  box.replaceChildren(legend, ...shown.map(thing => {
    const button = element("button", { type: "button", title: thing.meaning ?? "" }, `${thing.words} (${whole(counts.get(thing.name))})`);
    button.dataset.key = thing.name;
    button.setAttribute("aria-pressed", state[set].has(thing.name));
    button.onclick = () => change({ [set]: toggled(state[set], thing.name) });
    return button;
  }));
  if (held) box.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus();
}
