import json

import pytest

from runs import bench


def test_the_benchmark_writes_what_it_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "SIZES", (5,))
    assert bench.main(["--variants", "gru", "--repeats", "1", "--eager", "--output", str(tmp_path)]) == 0
    (row,) = json.loads((tmp_path / "bench.json").read_text())["rows"]
    assert {"fused", "native", "products", "eager"} <= row.keys()
    assert (tmp_path / "bench.png").stat().st_size > 0
    assert "gru" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "message"), [(["--variants", "foo"], "unknown variant 'foo'"), (["--repeats", "0"], "repeats must")])
def test_a_mistake_is_one_line_and_exit_code_2(arguments, message, capsys):
    assert bench.main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
