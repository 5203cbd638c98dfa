"""What the figures of trained networks share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ..tables.diagnosis import OF_THE_NETWORK

if TYPE_CHECKING:
    from ..study import Study

NOTHING = "no diagnosis of a trained network is stored yet"


def outcomes_of(study: Study, found: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Return how the runs went that gave the networks, by (task, variant): `46 units, solved, test loss 0.0031`.

    found: of `tables.diagnosis`. An asterisk stands where the run is not that of the study's table: it was trained
    again with another result, or the study has changed since.
    """
    known, texts = set(study.table["trial_id"]), {}
    for row in found[["task", "variant", *OF_THE_NETWORK]].drop_duplicates(["task", "variant"]).to_dict("records"):
        asterisk = "" if row["reproduced"] and row["trial_id"] in known else " *"
        loss = "none" if row["test_loss"] is None else f"{row['test_loss']:.2g}"
        texts[row["task"], row["variant"]] = f"{row['hidden_size']} units, {row['status']}, test loss {loss}{asterisk}"
    return texts
