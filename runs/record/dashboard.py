"""MLflow's server as an application whose list of experiments leads to the runs of a study."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("dashboard.js")


class Unfamiliar(Exception):
    """This version of MLflow is built otherwise than those that we know; the message says what is missing."""


def application(uri: str, artifacts: Path) -> Any:
    """Return what `mlflow server` serves, with our script in its page.

    Without the script, MLflow 3.17 opens an experiment on its traces in a browser that has not chosen "Model training".

    uri: of the database. artifacts: the folder of files of new experiments.
    Raises Unfamiliar where MLflow has no such page; the names used here are internal ones.
    """
    try:
        from mlflow.server.constants import ARTIFACT_ROOT_ENV_VAR, BACKEND_STORE_URI_ENV_VAR

        # The server reads these when it is imported.
        os.environ[BACKEND_STORE_URI_ENV_VAR] = uri
        os.environ[ARTIFACT_ROOT_ENV_VAR] = str(artifacts)
        with warnings.catch_warnings():  # MLflow 3.17 imports what Starlette will remove
            warnings.simplefilter("ignore")
            from mlflow.server import app as pages
            from mlflow.server.fastapi_app import app
        page = Path(str(pages.static_folder), "index.html").read_text()
        known = "serve" in pages.view_functions and "<head>" in page
    except (ImportError, AttributeError, OSError) as error:
        raise Unfamiliar(str(error).partition("\n")[0]) from None
    if not known:
        raise Unfamiliar("its first page is another")
    page = page.replace("<head>", f"<head><script>{SCRIPT.read_text()}</script>", 1)
    pages.view_functions["serve"] = lambda: page
    return app
