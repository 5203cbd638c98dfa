from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.load import names, read_archive, tidy, write_archive

from .synthetic import study


def test_archive_gives_back_table_and_design(small, tmp_path):
    table, design = small
    write_archive(table, design, tmp_path)
    again, design_again = read_archive(tmp_path / "trials.parquet")
    assert design_again == design
    pd.testing.assert_frame_equal(again, table)


def test_table_knows_missing_numbers():
    rows, _ = study(points=4, failed=1.0)
    table = tidy(rows)
    assert table["validation_loss"].dtype == np.float64
    assert table["solved_step"].isna().all()
    assert table["point"].dtype == np.int64
    assert all(len(curve) == 0 for curve in table["curve_losses"])


def test_table_names_the_columns_it_lacks():
    rows, _ = study(points=2)
    with pytest.raises(ValueError, match="needs the columns floor"):
        tidy([{k: v for k, v in row.items() if k != "floor"} for row in rows])


def test_an_archive_of_before_there_was_a_reason_to_be_eager_has_none(tmp_path):
    rows, design = study(points=2)
    table = tidy(rows)
    write_archive(table.drop(columns="why_eager"), design, tmp_path)
    assert read_archive(tmp_path / "trials.parquet")[0]["why_eager"].tolist() == [""] * len(table)


def test_rows_come_in_the_order_of_work(small):
    table, _ = small
    assert table[["task", "point", "variant"]].equals(
        table[["task", "point", "variant"]].sort_values(["task", "point", "variant"])
    )


def test_archive_of_something_else_is_refused(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="holds no design"):
        read_archive(tmp_path / "x.parquet")


@pytest.mark.parametrize("values", [["a", "b"], {"a": {"_target_": "x"}, "b": {}}, [{"label": "a"}, {"label": "b"}]])
def test_labels_are_read_from_lists_and_mappings(values):
    assert names(values) == ["a", "b"]
