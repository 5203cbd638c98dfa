// The page: one state, and views that are drawn again when it changes.

function counts(study, passing, chosen) {
  const filtered = study.size - passing.length, outside = passing.length - chosen.length;
  const hidden = [];
  if (filtered) hidden.push(`${whole(filtered)} hidden by filters`);
  if (outside) hidden.push(`${whole(outside)} outside the region`);
  const end = hidden.length ? `: ${hidden.join(", ")}` : "";
  return `${whole(chosen.length)} of ${count(study.size, "trial")} shown${end}.`;
}

// Return a sentence about the trials in the scatter that have no value on an axis.
function gaps(study, state, rows) {
  const parts = ["x", "y"].map(axis => {
    const { values, words, none } = study.measure[state[axis]];
    const number = rows.filter(row => Number.isNaN(values[row])).length;
    return number ? `${count(number, "trial")} without ${words} (${none}) stand${number === 1 ? "s" : ""} in the strip at the edge.` : "";
  });
  const solvable = study.tasks.some(task => task.solvable);
  const marks = solvable ? "Filled marks: solved. Hollow: not solved." : "Hollow marks: training was cut short.";
  const variants = new Set(rows.map(row => study.trials.variant[row])).size;
  const shifted = variants > 1 ? "Each variant stands a few pixels to the side, so that equal values do not hide each other." : "";
  return [...new Set(parts), marks, shifted, "Drag to draw a region; click a mark for its trial."].filter(Boolean).join(" ");
}

function curvesSay(study, state, chosen, drawn) {
  if (study.curveless) return study.curveless;
  const parts = [count(drawn.length, "curve") + "."];
  const without = chosen.length - drawn.length;
  if (without) parts.push(`${count(without, "trial")} without any.`);
  const ended = drawn.filter(row => ["diverged", "exploded"].includes(statusOf(study, row).name)).length;
  if (ended) parts.push(`A cross marks where a diverged or exploded trial ended (${ended}).`);
  if (state.over !== "steps") parts.push(`The ${state.over} of a trial are spread evenly over its steps.`);
  parts.push(`At most ${study.curve_points} points of a curve are kept, with ${study.digits} digits.`);
  return parts.join(" ");
}

function fillControls(study) {
  const option = measure => element("option", { value: measure.name, title: measure.meaning }, measure.words);
  for (const axis of ["x", "y"]) $(axis).append(...study.measures.map(option));
  $("over").append(...["steps", "seconds", "epochs"].filter(name => name in study.measure)
    .map(name => element("option", { value: name }, study.measure[name].words)));
  const known = [...study.measures, ...study.statuses.filter(status => status.meaning)];
  $("meanings").append(
    element("dt", {}, "point"), element("dd", {}, "The place in the space of hyperparameters; variants with the same point and task have the same hyperparameters, where the study fixed its points beforehand."),
    ...known.flatMap(thing => [element("dt", {}, thing.words, ...codeOf(thing)), element("dd", {}, thing.meaning)]),
  );
  const stages = study.others ? ` ${count(study.others, "further trial")} of the stages after the search ${study.others === 1 ? "is" : "are"} not shown.` : "";
  $("about").textContent = `${count(study.size, "trial")} of the search, failed ones too.${stages}`;
  $("more").open = window.innerWidth > 800;
  $("curves").hidden = $("curve-controls").hidden = Boolean(study.curveless);
  const lags = study.series && study.lags.length > 1;
  $("lag").hidden = $("lag-too").hidden = !lags;
}

// Return the name in trials.csv beside the words, where it cannot be told from them.
const codeOf = thing => (plainWords(thing) ? [] : [" (", element("code", {}, thing.name), ")"]);

function showControls(study, state) {
  for (const name of ["x", "y", "over"]) $(name).value = state[name];
  for (const name of ["xlog", "ylog", "curvelog"]) $(name).checked = state[name];
  for (const axis of ["x", "y"]) {
    $(`${axis}-bounds`).textContent = study.measure[state[axis]].words;
    ["low", "high"].forEach((side, k) => {
      const bound = state.region?.[axis][k];
      $(`${axis}-${side}`).value = Number.isFinite(bound) ? String(Number(bound.toPrecision(6))) : "";
    });
  }
  $("clear").disabled = !state.region;
}

// Return the region that the four fields say, null where all are empty.
function regionOfFields() {
  const bound = (id, otherwise) => {
    const text = $(id).value.trim();
    return text === "" || Number.isNaN(Number(text)) ? otherwise : Number(text);
  };
  const region = { x: [bound("x-low", -Infinity), bound("x-high", Infinity)], y: [bound("y-low", -Infinity), bound("y-high", Infinity)] };
  return [...region.x, ...region.y].some(Number.isFinite) ? region : null;
}

function start(study) {
  let state = readState(study, location.hash);
  let passing = [], chosen = [], drawn = [], later = 0;
  const lags = study.lags.map(lag => ({ name: String(lag), words: String(lag), always: true }));

  // everything that depends on which trials are shown
  const draw = () => {
    passing = study.rows.filter(row => passes(study, state, row));
    chosen = passing.filter(row => inRegion(study, state, row));
    $("counts").textContent = counts(study, passing, chosen);
    drawMap(study, state, change);
    drawFilter(study, state, "status", study.statuses, change);
    if (study.series) drawFilter(study, state, "lag", lags, change);
    showControls(study, state);
    drawScatter(scatter, study, state, passing, chosen);
    $("scatter-says").textContent = gaps(study, state, passing);
    drawn = drawCurves(curves, study, state, chosen);
    $("curves-say").textContent = curvesSay(study, state, chosen, drawn);
    drawOne();
  };
  // what depends on the selected trial as well; the table is slow, so it follows when the plots are on the screen
  const drawOne = () => {
    scatter.state = curves.state = state;
    drawOver(scatter, -1);
    drawCurveOver(curves, -1);
    drawDetail(study, state.trial, () => change({ trial: -1 }));
    clearTimeout(later);
    later = setTimeout(() => drawTable(study, state, chosen, change, select), 20);
  };
  const change = changes => {
    state = { ...state, ...changes };
    history.replaceState(null, "", stateText(study, state) || location.pathname + location.search);
    const few = Object.keys(changes).every(key => ["trial", "sort", "down"].includes(key));
    few ? drawOne() : draw();
  };
  const select = row => row >= 0 && change({ trial: row });
  const look = (row, left, top) => {
    drawOver(scatter, row);
    drawCurveOver(curves, row);
    showTip(study, row, left, top, row < 0 ? [] : tipLines(study, row, [state.x, state.y]));
  };
  const scatter = newScatter(change, select, look), curves = newCurves(select, look);

  fillControls(study);
  for (const axis of ["x", "y"]) {
    $(axis).onchange = () => change({ [axis]: $(axis).value, [`${axis}log`]: study.measure[$(axis).value].log, region: null });
    $(`${axis}log`).onchange = () => change({ [`${axis}log`]: $(`${axis}log`).checked });
    for (const side of ["low", "high"]) $(`${axis}-${side}`).onchange = () => change({ region: regionOfFields() });
  }
  $("over").onchange = () => change({ over: $("over").value });
  $("curvelog").onchange = () => change({ curvelog: $("curvelog").checked });
  $("clear").onclick = () => change({ region: null });
  $("reset").onclick = () => change(freshState(study));
  window.onhashchange = () => (state = readState(study, location.hash), draw());
  draw();
  new ResizeObserver(() => $("scatter").clientWidth === scatter.width || draw()).observe($("scatter"));
  // what is shown, for tests and for the console: numbers of rows
  window.explorer = { study, shown: () => chosen, curves: () => drawn, scatter: () => scatter };
}

readStudy().then(start, error => {
  $("counts").textContent = `The trials could not be read: ${error.message}. A browser of 2023 or later is needed; trials.csv beside this page has the same trials.`;
});
