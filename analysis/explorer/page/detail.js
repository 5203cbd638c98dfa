// All values of the selected trial, and the command that runs it again.

function drawDetail(study, row, clear) {
  const place = $("detail");
  if (row < 0) {
    const text = "Click a mark, a curve or a name in the table to see all values of a trial and the command that runs it again.";
    place.replaceChildren(element("p", { className: "soft" }, text));
    return;
  }
  const variant = variantOf(study, row), task = taskOf(study, row), status = statusOf(study, row);
  const title = element("p", {}, markOf(variant), element("strong", {}, variant.words), " on ", element("strong", {}, task.words));
  title.append(` (${variant.name}, ${task.name}), point ${study.trials.point[row]}: ${statusWords(study, row)}`);
  title.append(status.meaning ? `, which means: ${status.meaning}. ` : ". ");
  title.append(element("button", { type: "button", onclick: clear }, "Close"));
  const values = element("dl");
  for (const measure of study.measures) {
    const unit = measure.loss && task.unit ? ` ${task.unit}` : "";
    const value = valueText(study, measure.name, row) + (Number.isNaN(measure.values[row]) ? "" : unit);
    values.append(element("div", {}, element("dt", { title: measure.meaning }, measure.words), element("dd", {}, value)));
  }
  const name = study.trials.id[row];
  if (name) values.append(element("div", {}, element("dt", {}, "trial_id"), element("dd", {}, element("code", {}, name))));
  const error = study.trials.error[row];
  place.replaceChildren(title, values, ...(error ? [element("p", {}, `Error: ${error}`)] : []), ...command(study, row));
}

function command(study, row) {
  const text = commandOf(study, row);
  if (!text) return [element("p", { className: "soft" }, "The study does not say enough for a command that runs this trial again.")];
  const code = element("code", { id: "command" }, text);
  const said = element("span", { className: "soft" });
  said.setAttribute("role", "status");
  const button = element("button", { type: "button", id: "copy" }, "Copy the command");
  button.onclick = async () => (said.textContent = ` ${await copied(text, code)}`);
  return [element("p", {}, "Run this trial again: ", button, said), element("pre", {}, code)];
}

// Copy a text; where the browser refuses, select it, so that the reader can copy it.
async function copied(text, place) {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied.";
  } catch {
    window.getSelection().selectAllChildren(place);
    return document.execCommand("copy") ? "Copied." : "Selected: press Ctrl+C to copy it.";
  }
}
