"""The command `python -m analysis.diagram`: files, and one line for each mistake."""

from xml.etree import ElementTree

import pytest

from analysis.diagram.__main__ import main


def test_a_cell_with_knobs_is_written_as_svg_and_png(tmp_path, capsys):
    assert main(["variant=vanilla", "variant.peepholes=[i,f]", f"out={tmp_path}"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "vanilla.svg"), str(tmp_path / "vanilla.png")]
    texts = {
        "".join(t.itertext()) for t in ElementTree.parse(tmp_path / "vanilla.svg").iter() if t.tag.endswith("text")
    }
    assert {"pi", "pf", "learned layer", "gradient is cut"} <= texts
    assert "po" not in texts


def test_two_cells_stand_beside_each_other_with_the_sentence(tmp_path, capsys):
    assert main(["variant=greff_cifg", "against=peephole", f"out={tmp_path}"]) == 0
    said = capsys.readouterr().out
    assert "1−i stands in the place of f" in said
    drawn = (tmp_path / "greff_cifg_against_peephole.svg").read_text()
    assert drawn.count('class="frame"') == 2
    assert "stands in the place of f" in drawn
    assert "differs between the two cells" in drawn


def test_the_colour_of_what_differs_is_explained_only_where_it_is_used(tmp_path):
    assert main(["variant=gru", "against=gru", f"out={tmp_path}"]) == 0
    assert "differs between the two cells" not in (tmp_path / "gru_against_gru.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["variant=grru"], "error: unknown variant 'grru'; did you mean 'gru'?"),
        (["variant=gru", "variant.peep=1"], "error: variant gru: unknown knob 'peep'; its knobs are: keep_bias"),
        (["variant=vanilla", "variant.peepholes=[q]"], "error: vanilla: peepholes must be on gates"),
        (["variant=native_gru"], "error: native_gru: a kernel of the library"),
        (["varriant=gru"], "error: unknown key 'varriant'; did you mean 'variant'?"),
        (["variant=gru", "against.peepholes=[i]"], "error: against.KNOB needs against=..."),
        (["variant=gru", "against=", "against.peepholes=[i]"], "error: against.KNOB needs against=..."),
        (["variant=gru", "against=gru", "against.keep_bias=["], "error: against.keep_bias must be a value or a list"),
        (["variant=gru", "variant.keep_bias=${here}"], "error: variant.keep_bias must be a value or a list"),
        ([], "error: say which variant: variant=gru"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, line, tmp_path, capsys):
    assert main([*arguments, f"out={tmp_path}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(line)
    assert said.count("\n") == 1


def test_a_folder_that_is_a_file_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["variant=rnn", f"out={tmp_path / 'file'}"]) == 2
    assert capsys.readouterr().err.startswith("error: out: cannot write into")


def test_help_names_every_argument(capsys):
    assert main(["--help"]) == 0
    assert "variant.KNOB " in capsys.readouterr().out
