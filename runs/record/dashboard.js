// Lets MLflow open on model training, and its links to an experiment lead to the saved view of our runs.
"use strict";
const ours = {
  "mlflow.workflowType_v1": '"machine_learning"', // "Model training", not "GenAI", until somebody chooses
  "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true", // the assistant stays closed until somebody opens it
};
for (const [key, value] of Object.entries(ours)) {
  if (localStorage.getItem(key) === null) localStorage.setItem(key, value);
}

document.addEventListener(
  "click",
  async (event) => {
    const found = /#\/experiments\/(\d+)$/.exec(event.target.closest("a")?.href ?? "");
    if (!found || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    const answer = await fetch(`ajax-api/2.0/mlflow/experiments/get?experiment_id=${found[1]}`);
    const tags = (await answer.json()).experiment?.tags ?? [];
    const view = tags.some((tag) => tag.key === "mlflow.sharedViewState.trials") ? "&viewStateShareKey=trials" : "";
    location.hash = `#/experiments/${found[1]}/runs?workflowType=machine_learning${view}`;
  },
  true,
);
