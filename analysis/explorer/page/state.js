// What the reader has chosen, and how the address of the page keeps it.

const SETS = ["task", "variant", "status", "lag"];

function freshState(study) {
  const x = study.measures[0].name;
  const y = ["test_loss", "score", "seconds"].find(name => name in study.measure && name !== x) ?? x;
  return {
    task: new Set(), variant: new Set(), status: new Set(), lag: new Set(),
    x, y, xlog: study.measure[x].log, ylog: study.measure[y].log,
    region: null, over: "steps", curvelog: true, sort: "order", down: false, trial: -1,
  };
}

// Return the part of the address behind #: only what differs from the page as it opens.
function stateText(study, state) {
  const fresh = freshState(study), words = [];
  const add = (key, value) => words.push(`${key}=${value}`);
  for (const set of SETS) {
    if (state[set].size) add(set, [...state[set]].map(encodeURIComponent).join(","));
  }
  for (const axis of ["x", "y"]) {
    if (state[axis] !== fresh[axis]) add(axis, encodeURIComponent(state[axis]));
    if (state[`${axis}log`] !== study.measure[state[axis]].log) add(`${axis}log`, state[`${axis}log`] ? "yes" : "no");
  }
  if (state.region) add("region", [...state.region.x, ...state.region.y].map(bound => Number(bound.toPrecision(6))).join(","));
  if (state.over !== fresh.over) add("over", state.over);
  if (!state.curvelog) add("curves", "linear");
  if (state.sort !== fresh.sort || state.down) add("sort", encodeURIComponent((state.down ? "-" : "") + state.sort));
  if (state.trial >= 0) add("trial", nameOf(study, state.trial));
  return words.length ? `#${words.join("&")}` : "";
}

// Return the state that an address asks for; what it asks for and the study does not have is left out.
function readState(study, hash) {
  const state = freshState(study);
  const asked = new Map(hash.replace(/^#/, "").split("&").map(word => word.split("=")).filter(pair => pair.length === 2));
  const text = key => readable(asked.get(key) ?? "");
  const known = {
    task: study.tasks.map(task => task.name), variant: study.variants.map(variant => variant.name),
    status: study.statuses.map(status => status.name), lag: study.lags.map(String),
  };
  for (const set of SETS) {
    const names = (asked.get(set) ?? "").split(",").map(readable).flatMap(name => (set === "task" ? ofSeries(study, name) : name));
    state[set] = new Set(names.filter(name => known[set].includes(name)));
  }
  for (const axis of ["x", "y"]) {
    if (text(axis) in study.measure) state[axis] = text(axis);
    state[`${axis}log`] = asked.has(`${axis}log`) ? text(`${axis}log`) === "yes" : study.measure[state[axis]].log;
  }
  const bounds = (asked.get("region") ?? "").split(",").map(word => (word === "" ? NaN : Number(word)));
  if (bounds.length === 4 && !bounds.some(Number.isNaN)) state.region = { x: bounds.slice(0, 2), y: bounds.slice(2) };
  if (["steps", "seconds", "epochs"].includes(text("over"))) state.over = text("over");
  if (state.over === "epochs" && !study.measure.epochs) state.over = "steps";
  state.curvelog = text("curves") !== "linear";
  const sort = text("sort").replace(/^-/, "");
  if (sort in study.measure || ["variant", "task", "status", "point"].includes(sort)) state.sort = sort;
  state.down = text("sort").startsWith("-");
  if (asked.has("trial")) state.trial = study.rows.findIndex(row => readable(nameOf(study, row)) === text("trial"));
  return state;
}

// A name may be that of a series: it stands for its tasks.
function ofSeries(study, name) {
  const tasks = study.tasks.filter(task => task.name !== name && task.series === name).map(task => task.name);
  return study.tasks.some(task => task.name === name) ? [name] : tasks;
}

function readable(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return "";
  }
}

// Return whether a trial passes the filters, except for those named.
function passes(study, state, row, ...except) {
  const named = {
    task: taskOf(study, row).name, variant: variantOf(study, row).name,
    status: statusOf(study, row).name, lag: String(taskOf(study, row).lag),
  };
  return SETS.every(set => !state[set].size || except.includes(set) || state[set].has(named[set]));
}

// Return whether a trial lies in the region. A trial without a value lies beyond every number.
function inRegion(study, state, row) {
  return !state.region || ["x", "y"].every(axis => {
    const value = study.measure[state[axis]].values[row], [low, high] = state.region[axis];
    return Number.isNaN(value) ? high === Infinity : low <= value && value <= high;
  });
}
