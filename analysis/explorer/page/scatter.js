// The scatter plot: any two numbers of the trials. A region drawn in it chooses trials; a click selects one.

const STRIP = 22; // pixels at the edge for trials without a value

function newScatter(change, select, look) {
  const plot = newPlot($("scatter"), "Scatter plot of the trials. Arrow keys go from trial to trial, Enter selects one.");
  let from = null;
  const place = event => {
    const box = plot.over.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  plot.over.onpointerdown = event => {
    if (event.button) return;
    from = place(event);
    plot.over.setPointerCapture(event.pointerId);
  };
  plot.over.onpointermove = event => {
    const at = place(event);
    if (from && farApart(from, at)) {
      showTip(plot.study, -1);
      drawOver(plot, -1, [from, at]);
    } else if (!from) {
      look(nearest(plot, ...at), event.clientX, event.clientY);
    }
  };
  plot.over.onpointerup = event => {
    const at = place(event);
    if (from && farApart(from, at)) change({ region: regionOf(plot, from, at) });
    else if (from) select(nearest(plot, ...at));
    from = null;
  };
  plot.over.onpointercancel = () => (from = null, drawOver(plot, -1));
  plot.over.onpointerleave = () => from || look(-1);
  plot.over.onkeydown = event => walk(plot, event, select, look);
  plot.over.onblur = () => look(-1);
  return plot;
}

const farApart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) > 5;

// Draw the trials that pass the filters; those outside the region are pale.
function drawScatter(plot, study, state, rows, chosen) {
  const pen = cleanPen(plot, plot.base);
  Object.assign(plot, { study, state, rows });
  const x = study.measure[state.x], y = study.measure[state.y];
  placeScales(plot, x, y);
  sayEmpty(plot, rows.length ? "" : "No trial fits these filters.");
  drawAxes(pen, plot, plot.x, plot.y, x.words, y.words + unitOf(study, state.y, rows));
  drawStrips(pen, plot, x, y);
  const sprites = study.variants.map(variant => [false, true].map(filled => sprite(variant, filled, plot.ratio)));
  plot.places = rows.map(row => [edge(plot.x, plot.ends.x, x.values[row], row), edge(plot.y, plot.ends.y, y.values[row], row)]);
  const inside = new Set(chosen);
  for (const shown of [false, true]) {
    pen.globalAlpha = shown ? 1 : 0.16;
    rows.forEach((row, k) => {
      if (inside.has(row) !== shown) return;
      const name = statusOf(study, row).name, filled = name === "solved" || (name === "finished" && !taskOf(study, row).solvable);
      const [left, top] = plot.places[k];
      pen.drawImage(sprites[study.trials.variant[row]][Number(filled)], left - 8, top - 8, 16, 16);
    });
  }
  pen.globalAlpha = 1;
}

// Set the scales, and the strips at the edges for trials without a value, or with 0 on a logarithmic axis.
function placeScales(plot, x, y) {
  const { state, rows } = plot;
  const own = measure => rows.map(row => measure.values[row]);
  const [across, up] = [own(x), own(y)];
  const gap = list => list.some(Number.isNaN);
  const low = (list, log) => log && list.some(value => value <= 0);
  const left = 52, right = plot.width - 12, top = 24, bottom = plot.height - 40;
  const ends = { x: [left, right], y: [bottom, top] };
  const start = left + (low(across, state.xlog) ? STRIP : 0), end = right - (gap(across) ? STRIP : 0);
  const floor = bottom - (low(up, state.ylog) ? STRIP : 0), ceiling = top + (gap(up) ? STRIP : 0);
  plot.x = scaleOf(...range(across, state.xlog), state.xlog, start, end);
  plot.y = scaleOf(...range(up, state.ylog), state.ylog, floor, ceiling);
  plot.ends = ends;
}

// Return the pixel of a value; one that the scale cannot show lies in the strip at its edge, spread by the trial's number.
function edge(scale, ends, value, row) {
  const spread = ((row * 0.618) % 1 - 0.5) * (STRIP - 10);
  if (Number.isNaN(value)) return (scale.end + ends[1]) / 2 + spread;
  if (scale.log && value <= 0) return (scale.start + ends[0]) / 2 + spread;
  return scale.pixel(value);
}

function drawStrips(pen, plot, x, y) {
  const { ends } = plot, [left, right] = ends.x, [bottom, top] = ends.y;
  pen.fillStyle = "#f1ece4";
  const strips = [
    [plot.y.end > top, left, top, right - left, STRIP, y.none],
    [plot.y.start < bottom, left, bottom - STRIP, right - left, STRIP, "0 or less"],
    [plot.x.end < right, right - STRIP, top, STRIP, bottom - top, x.none],
    [plot.x.start > left, left, top, STRIP, bottom - top, "0 or less"],
  ];
  const there = strips.filter(([is]) => is);
  for (const [, ...box] of there) pen.fillRect(...box.slice(0, 4));
  const words = [...new Set(there.map(strip => strip[5]))].join(", ");
  pen.font = "12px system-ui, sans-serif";
  pen.textBaseline = "top";
  pen.textAlign = "right";
  pen.fillStyle = INK;
  if (words) pen.fillText(`shaded: ${words}`, right, 4);
}

// Draw what moves: the region, or a rectangle that is being drawn; the trial under the pointer and the selected one.
function drawOver(plot, row, rectangle = null) {
  const pen = cleanPen(plot, plot.over), { state } = plot;
  const corners = rectangle ?? (state.region && cornersOf(plot, state.region));
  if (corners) {
    const [[x0, y0], [x1, y1]] = corners;
    pen.fillStyle = "#1d5f9e14";
    pen.strokeStyle = ACCENT;
    pen.lineWidth = 1.5;
    pen.fillRect(x0, y0, x1 - x0, y1 - y0);
    pen.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }
  for (const [one, width] of [[row, 2], [state.trial, 3]]) {
    const place = plot.places?.[plot.rows.indexOf(one)];
    if (!place) continue;
    pen.beginPath();
    pen.arc(...place, 8, 0, 2 * Math.PI);
    pen.strokeStyle = INK;
    pen.lineWidth = width;
    pen.stroke();
  }
}

// Return the corners of a region in pixels; a bound at infinity is the edge of the plot.
function cornersOf(plot, region) {
  const pixel = (scale, ends, bound, side) => {
    if (!Number.isFinite(bound)) return ends[side];
    if (scale.log && bound <= 0) return ends[0];
    const at = scale.pixel(bound), [low, high] = [Math.min(...ends), Math.max(...ends)];
    return Math.min(Math.max(at, low), high);
  };
  return [0, 1].map(side => [pixel(plot.x, plot.ends.x, region.x[side], side), pixel(plot.y, plot.ends.y, region.y[side], side)]);
}

// Return the region between two places in pixels; beyond a scale, in its strip, it has no bound.
function regionOf(plot, a, b) {
  const bound = (scale, pixel) => {
    const share = (pixel - scale.start) / (scale.end - scale.start);
    return share < 0 ? -Infinity : share > 1 ? Infinity : scale.value(pixel);
  };
  const sorted = (scale, one, other) => [bound(scale, one), bound(scale, other)].sort((p, q) => p - q);
  return { x: sorted(plot.x, a[0], b[0]), y: sorted(plot.y, a[1], b[1]) };
}

// Return the trial that is nearest to a place, -1 for none within 12 pixels.
function nearest(plot, left, top) {
  let best = -1, least = 144;
  plot.places?.forEach(([x, y], k) => {
    const distance = (x - left) ** 2 + (y - top) ** 2;
    if (distance < least) [best, least] = [plot.rows[k], distance];
  });
  return best;
}

// Go from trial to trial by the arrow keys, from left to right.
function walk(plot, event, select, look) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (event.key === "Enter" && plot.at >= 0) return select(plot.at);
  if (!step || !plot.rows.length) return;
  event.preventDefault();
  const line = plot.rows.map((row, k) => [plot.places[k][0], row, k]).sort((a, b) => a[0] - b[0]);
  const now = line.findIndex(entry => entry[1] === plot.at);
  const [, row, k] = line[now < 0 ? 0 : (now + step + line.length) % line.length];
  plot.at = row;
  const box = plot.over.getBoundingClientRect();
  look(row, box.left + plot.places[k][0], box.top + plot.places[k][1]);
}

// Return the unit of losses in brackets, where all trials have the same.
function unitOf(study, name, rows) {
  const units = new Set(rows.map(row => taskOf(study, row).unit));
  const [unit] = units;
  return study.measure[name]?.loss && units.size === 1 && unit ? ` (${unit})` : "";
}
