// A plot: one canvas for its marks, and one above it for what moves with the pointer.

const INK = "#222", SOFT = "#5a5a5a", GRID = "#e6e6e6", ACCENT = "#1d5f9e";

function newPlot(place, label) {
  const base = element("canvas"), over = element("canvas", { className: "over", tabIndex: 0 });
  over.setAttribute("role", "img");
  over.setAttribute("aria-label", label);
  const empty = element("p", { className: "empty", hidden: true });
  place.append(base, over, empty);
  return { place, base, over, empty };
}

// Make a canvas as large as its place, empty it, and return its pen in CSS pixels.
function cleanPen(plot, canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = plot.place;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  Object.assign(plot, { width, height, ratio });
  return pen;
}

// Draw grid, ticks and titles of two scales.
function drawAxes(pen, plot, x, y, across, up) {
  pen.font = "12px system-ui, sans-serif";
  pen.lineWidth = 1;
  pen.strokeStyle = GRID;
  pen.fillStyle = INK;
  pen.textAlign = "center";
  pen.textBaseline = "top";
  for (const value of x.ticks(Math.max(2, Math.floor((x.end - x.start) / 60)))) {
    const at = Math.round(x.pixel(value)) + 0.5;
    line(pen, at, y.start, at, y.end);
    pen.fillText(tickText(value), at, y.start + 5);
  }
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const value of y.ticks(Math.max(2, Math.floor((y.start - y.end) / 40)))) {
    const at = Math.round(y.pixel(value)) + 0.5;
    line(pen, x.start, at, x.end, at);
    pen.fillText(tickText(value), x.start - 6, at);
  }
  pen.strokeStyle = SOFT;
  line(pen, x.start, y.start + 0.5, x.end, y.start + 0.5);
  line(pen, x.start - 0.5, y.start, x.start - 0.5, y.end);
  pen.font = "600 12px system-ui, sans-serif";
  pen.textAlign = "right";
  pen.textBaseline = "bottom";
  pen.fillText(`${across} →`, plot.width - 4, plot.height - 1);
  pen.textAlign = "left";
  pen.textBaseline = "top";
  pen.fillText(`↑ ${up}`, 2, 2);
}

function line(pen, x0, y0, x1, y1) {
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}

// Say that there is nothing to see, or do not.
function sayEmpty(plot, text) {
  plot.empty.hidden = !text;
  plot.empty.textContent = text;
}

// Show some values of a trial beside the pointer, or nothing for row -1.
function showTip(study, row, left, top, lines) {
  const tip = $("tip");
  tip.hidden = row < 0;
  if (row < 0) return;
  const variant = variantOf(study, row), task = taskOf(study, row);
  const head = element("strong", {}, `${variant.words}, ${task.words}`);
  tip.replaceChildren(head, ...lines.map(text => element("div", {}, text)));
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(left + 14, window.innerWidth - width - 6))}px`;
  tip.style.top = `${top + 16 + height > window.innerHeight ? top - height - 12 : top + 16}px`;
}

// Return the lines about a trial that the plots show beside the pointer.
function tipLines(study, row, names) {
  const point = `point ${study.trials.point[row]}, ${statusWords(study, row)}`;
  const named = [...new Set([...names, ...study.hyperparameters, "test_loss", "solved_step"])].filter(name => name in study.measure);
  return [point, ...named.map(name => `${study.measure[name].words}: ${valueText(study, name, row)}`)];
}

// Write a value of a trial; where there is none, what that means.
function valueText(study, name, row) {
  const { values, none } = study.measure[name];
  return Number.isNaN(values[row]) ? none : written(values[row], 4);
}
