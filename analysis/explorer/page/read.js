"use strict";
// Read the trials from the page: gzip in base64, then JSON.

const $ = id => document.getElementById(id);

// Return a new element. What is given as text stays text, whatever is in it.
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

async function readStudy() {
  const bytes = Uint8Array.from(atob($("data").textContent), letter => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const study = JSON.parse(await new Response(stream).text());
  study.size = study.trials.task.length;
  study.measures = study.measures.map(measure => ({
    ...measure,
    values: Float64Array.from(study.trials[measure.name], value => value ?? NaN),
  }));
  study.measure = Object.fromEntries(study.measures.map(measure => [measure.name, measure]));
  study.rows = Array.from({ length: study.size }, (_, row) => row);
  study.order = Float64Array.from(study.trials.order, value => value ?? Infinity);
  study.lags = [...new Set(study.tasks.map(task => task.lag))].sort((a, b) => a - b);
  study.series = study.tasks.some(task => task.series !== task.name);
  cutCurves(study);
  return study;
}

// Give each trial its part of the list of all losses.
function cutCurves(study) {
  const { grids, grid, losses } = study.curves;
  const all = Float32Array.from(losses, loss => loss ?? NaN);
  let start = 0;
  study.curve = grid.map(number => {
    const steps = grids[number];
    return { steps, losses: all.subarray(start, start += steps.length) };
  });
}

const variantOf = (study, row) => study.variants[study.trials.variant[row]];
const taskOf = (study, row) => study.tasks[study.trials.task[row]];
const statusOf = (study, row) => study.statuses[study.trials.status[row]];

// Return the status of a trial in words, which depend on its task where the trial used its whole budget.
function statusWords(study, row) {
  const status = statusOf(study, row);
  return status.name === "finished" ? taskOf(study, row).finished : status.words;
}

// Return the command that runs a trial again, empty where none is known.
function commandOf(study, row) {
  const { words, commands } = study.commands;
  return commands[row].map(number => words[number]).join(" ");
}

// Return the name of a trial by which an address names it.
function nameOf(study, row) {
  return [taskOf(study, row).name, variantOf(study, row).name, study.trials.point[row]].map(encodeURIComponent).join("/");
}

// Return whether the name of a thing can be told from its words: only its underscores differ.
const plainWords = thing => thing.words.replaceAll(" ", "_") === thing.name;
