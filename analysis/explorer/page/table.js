// The table of the chosen trials.

const MOST_ROWS = 100;

function drawTable(study, state, rows, change, select) {
  const names = ["variant", "task", "status", "point"];
  const columns = [...names.map(name => ({ name, words: name, text: name !== "point" })), ...study.measures];
  const sorted = sortedRows(study, state, rows);
  const shown = sorted.slice(0, MOST_ROWS);
  const how = state.sort === "order" ? "best first" : `sorted by ${columns.find(column => column.name === state.sort).words}`;
  const which = rows.length > MOST_ROWS ? `The first ${MOST_ROWS} of ${count(rows.length, "trial")}` : count(rows.length, "trial");
  $("table-says").textContent = rows.length ? `${which}, ${how}. Click a heading to sort.` : "No trial fits these filters.";
  const table = $("table");
  const held = table.contains(document.activeElement) ? document.activeElement.dataset.key : "";
  const head = element("tr", {}, ...columns.map(column => tableHeading(state, column, change)));
  const body = shown.map(row => tableRow(study, state, columns, row, select));
  table.replaceChildren(element("thead", {}, head), element("tbody", {}, ...body));
  if (held) table.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus();
}

function tableHeading(state, column, change) {
  const button = element("button", { type: "button", title: column.meaning ?? "" }, column.words);
  button.dataset.key = `sort/${column.name}`;
  button.onclick = () => change({ sort: column.name, down: state.sort === column.name && !state.down });
  const cell = element("th", { scope: "col", className: column.text ? "text" : "" }, button);
  if (state.sort === column.name) cell.setAttribute("aria-sort", state.down ? "descending" : "ascending");
  return cell;
}

function tableRow(study, state, columns, row, select) {
  const named = { variant: variantOf(study, row), task: taskOf(study, row), status: { words: statusWords(study, row) } };
  const line = element("tr", { className: row === state.trial ? "chosen" : "" });
  for (const column of columns) {
    const text = column.values ? valueText(study, column.name, row) : named[column.name]?.words ?? study.trials.point[row];
    const cell = element("td", { className: column.text ? "text" : "" });
    if (column.name === "variant") {
      const button = element("button", { type: "button", title: "Show this trial" }, text);
      button.dataset.key = `trial/${row}`;
      button.onclick = () => select(row);
      cell.append(button);
    } else cell.append(text);
    line.append(cell);
  }
  return line;
}

// Return trials in the order of a column; those without a value come last.
function sortedRows(study, state, rows) {
  const places = { variant: study.trials.variant, task: study.trials.task, status: study.trials.status, point: study.trials.point };
  const values = state.sort === "order" ? study.order : places[state.sort] ?? study.measure[state.sort].values;
  const sign = state.down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [p, q] = [values[a], values[b]];
    if (Number.isNaN(p) || Number.isNaN(q)) return Number.isNaN(p) - Number.isNaN(q) || a - b;
    return p === q ? a - b : sign * (p < q ? -1 : 1);
  });
}
