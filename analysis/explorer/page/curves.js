// The learning curves of the chosen trials.

function newCurves(select, look) {
  const plot = newPlot($("curves"), "Learning curves of the chosen trials. The table below has their numbers.");
  plot.over.tabIndex = -1;
  const at = event => {
    const box = plot.over.getBoundingClientRect();
    return nearestCurve(plot, event.clientX - box.left, event.clientY - box.top);
  };
  plot.over.onpointermove = event => look(at(event), event.clientX, event.clientY);
  plot.over.onpointerleave = () => look(-1);
  plot.over.onclick = event => select(at(event));
  return plot;
}

// Return the places of a curve on the axis across: steps, or the seconds or epochs that went by until then.
function across(study, state, row) {
  const { steps } = study.curve[row];
  if (state.over === "steps") return steps;
  const total = study.measure[state.over].values[row], last = study.measure.steps?.values[row] || steps[steps.length - 1];
  return steps.map(step => (step * total) / last);
}

function drawCurves(plot, study, state, rows) {
  const pen = cleanPen(plot, plot.base);
  const drawn = rows.filter(row => study.curve[row].losses.some(loss => shows(loss, state)));
  Object.assign(plot, { study, state, rows: drawn });
  sayEmpty(plot, drawn.length ? "" : rows.length ? "None of these trials has a learning curve." : "No trial fits these filters.");
  plot.lines = drawn.map(row => across(study, state, row));
  const last = plot.lines.reduce((most, places) => Math.max(most, places[places.length - 1] || 0), 0) || 1;
  plot.x = scaleOf(0, 1.02 * last, false, 52, plot.width - 12);
  const [low, high] = range(seenLosses(study, drawn), state.curvelog);
  plot.y = scaleOf(low, high, state.curvelog, plot.height - 40, 24);
  const words = { steps: "training steps", seconds: "seconds", epochs: "epochs" }[state.over];
  drawAxes(pen, plot, plot.x, plot.y, words, "validation loss" + unitOf(study, "validation_loss", rows));
  pen.save();
  pen.beginPath();
  pen.rect(plot.x.start, plot.y.end - 4, plot.x.end - plot.x.start + 4, plot.y.start - plot.y.end + 4);
  pen.clip();
  pen.lineWidth = drawn.length > 200 ? 0.8 : 1.3;
  pen.globalAlpha = Math.max(0.16, Math.min(0.9, 12 / Math.sqrt(drawn.length + 1)));
  drawn.forEach((row, k) => {
    const variant = variantOf(study, row);
    pen.strokeStyle = variant.colour;
    pen.setLineDash(drawn.length > 200 ? [] : variant.dash.map(length => 2 * length));
    trace(pen, plot, row, plot.lines[k]);
  });
  pen.setLineDash([]);
  pen.restore();
  pen.globalAlpha = 1;
  drawEnds(pen, plot);
  drawLevels(pen, plot);
  return drawn;
}

const shows = (loss, state) => Number.isFinite(loss) && (!state.curvelog || loss > 0);

// Return the losses that decide the axis: all, but of those far above every curve's start only so much.
function* seenLosses(study, rows) {
  let first = 0;
  for (const row of rows) {
    const start = study.curve[row].losses[0];
    if (Number.isFinite(start)) first = Math.max(first, start);
  }
  const top = first > 0 ? 3 * first : Infinity;
  for (const row of rows) {
    for (const loss of study.curve[row].losses) yield loss > top ? top : loss;
  }
}

function trace(pen, plot, row, places) {
  const { losses } = plot.study.curve[row];
  let on = false;
  pen.beginPath();
  for (let k = 0; k < losses.length; k++) {
    if (!shows(losses[k], plot.state)) {
      on = false;
      continue;
    }
    const x = plot.x.pixel(places[k]), y = plot.y.pixel(losses[k]);
    on ? pen.lineTo(x, y) : pen.moveTo(x, y);
    if (!on && (losses.length === 1 || !shows(losses[k + 1], plot.state))) pen.lineTo(x + 1.5, y);
    on = true;
  }
  pen.stroke();
}

// Put a cross where a diverged or exploded trial ended.
function drawEnds(pen, plot) {
  pen.strokeStyle = INK;
  pen.lineWidth = 1.2;
  plot.rows.forEach((row, k) => {
    if (!["diverged", "exploded"].includes(statusOf(plot.study, row).name)) return;
    const { losses } = plot.study.curve[row];
    let last = losses.length - 1;
    while (!shows(losses[last], plot.state)) last--;
    const x = plot.x.pixel(plot.lines[k][last]), y = Math.max(plot.y.end, plot.y.pixel(losses[last]));
    line(pen, x - 3, y - 3, x + 3, y + 3);
    line(pen, x - 3, y + 3, x + 3, y - 3);
  });
}

// For trials of one task: the loss of the best model without memory, and that at which the task is solved.
function drawLevels(pen, plot) {
  const tasks = new Set(plot.rows.map(row => taskOf(plot.study, row)));
  if (tasks.size !== 1) return;
  const [task] = tasks;
  pen.font = "12px system-ui, sans-serif";
  pen.textAlign = "right";
  for (const [loss, text] of [[task.floor, "best without memory"], [task.solved, "solved"]]) {
    if (loss === null || !(loss > plot.y.low && loss < plot.y.high)) continue;
    const at = Math.round(plot.y.pixel(loss)) + 0.5;
    pen.strokeStyle = INK;
    pen.lineWidth = 1;
    pen.setLineDash([2, 3]);
    line(pen, plot.x.start, at, plot.x.end, at);
    pen.setLineDash([]);
    pen.textBaseline = "bottom";
    pen.lineWidth = 4;
    pen.strokeStyle = "#fff";
    pen.strokeText(text, plot.x.end, at - 1);
    pen.fillStyle = INK;
    pen.fillText(text, plot.x.end, at - 1);
  }
}

// Draw the curve under the pointer and that of the selected trial above the others.
function drawCurveOver(plot, row) {
  const pen = cleanPen(plot, plot.over);
  for (const [one, width] of [[plot.state.trial, 3], [row, 2.4]]) {
    const k = plot.rows.indexOf(one);
    if (k < 0) continue;
    for (const [colour, extra] of [["#fff", 3], [INK, 0]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = width + extra;
      trace(pen, plot, one, plot.lines[k]);
    }
  }
}

// Return the trial whose curve has the point or line nearest to a place, -1 for none within 8 pixels.
function nearestCurve(plot, left, top) {
  let best = -1, least = 64;
  plot.rows?.forEach((row, k) => {
    const { losses } = plot.study.curve[row], places = plot.lines[k];
    for (let j = 0; j < losses.length; j++) {
      const x = plot.x.pixel(places[j]);
      if (x < left - 40 || x > left + 40 && j === 0 || !shows(losses[j], plot.state)) continue;
      const next = j + 1 < losses.length && shows(losses[j + 1], plot.state) ? j + 1 : j;
      const distance = toSegment(left, top, x, plot.y.pixel(losses[j]), plot.x.pixel(places[next]), plot.y.pixel(losses[next]));
      if (distance < least) [best, least] = [row, distance];
      if (x > left + 40) break;
    }
  });
  return best;
}

// Return the squared distance of a place to a line from a to b.
function toSegment(x, y, ax, ay, bx, by) {
  const dx = bx - ax, dy = by - ay, square = dx * dx + dy * dy;
  const share = square ? Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / square)) : 0;
  return (x - ax - share * dx) ** 2 + (y - ay - share * dy) ** 2;
}
