"""A results folder with the tables of a study, for the tests of the gallery."""

import pandas as pd

from analysis.tables.claim_rules import UNTESTED
from analysis.tables.literature import CLAIMS


def with_a_study(results):
    """Write the tables of a study of two variants and two tasks into a results folder, and return it."""
    folder = results / "small"
    folder.mkdir()
    columns = ["task", "variant", "trials", "solved", "solve_rate", "best_loss"]
    cells = [["adding", "vanilla", 9, 3, 1 / 3, 0.01], ["adding", "gru", 9, 6, 2 / 3, 0.01]]
    cells += [["chorales", "vanilla", 9, 0, None, 8.5], ["chorales", "gru", 9, 0, None, 8.25]]
    pd.DataFrame(cells, columns=columns).to_csv(folder / "cells.csv", index=False)
    columns = ["task", "variant", "baseline", "endpoint", "primary", "difference", "low", "high", "verdict"]
    rows = [["adding", "gru", "vanilla", "solve_rate", True, 1 / 3, 0.1, 0.5, "better"]]
    rows += [["adding", "gru", "vanilla", "best_decile", False, 0.2, 0.1, 0.3, "better"]]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "comparisons.csv", index=False)
    equal = next(claim for claim in CLAIMS if claim.text == "GRU and LSTM are about equal.")
    bias = next(c for c in CLAIMS if c.text == "With a forget bias of 1 the GRU is no better than the LSTM.")
    rows = [[equal.source, equal.text, "disagrees", "GRU on adding: better"], [bias.source, bias.text, UNTESTED, ""]]
    pd.DataFrame(rows, columns=["source", "claim", "verdict", "evidence"]).to_csv(folder / "claims.csv", index=False)
    (folder / "report.html").write_text("")
    return results
