"""What comes out of a search: its table, a cell that is adopted, kernels that make room, and a verdict."""

import json
import os

import numpy as np
import pytest

from runs.configuration.nodes import variant_node
from runs.configuration.study import design_from
from runs.discovery.adopting import adopted
from runs.discovery.kernels import CACHE, kernels_in, make_room, trimmed
from runs.discovery.plan import MUTATION
from runs.discovery.scoring import members
from runs.discovery.table import frame, load_search, read_table, save_table
from runs.discovery.verdict import confirmed, reached_in, study_of, verdicts, write_study
from runs.trial.classes import construct
from tests.runs.discovery.conftest import make_plan
from variants import Cell


def best_of(searched):
    return [m for m in members(searched.plan, searched.told(), MUTATION) if m.first.arm == MUTATION][:2]


def test_the_table_has_a_row_for_each_candidate(searched, told, tmp_path):
    table = save_table(searched, tmp_path / "candidates.parquet")
    plan, again, facts = read_table(tmp_path / "candidates.parquet")
    assert (plan, len(again), facts["sessions"]) == (searched.plan, plan.length, searched.sessions.all())
    assert [*again["key"]] == [each.candidate.key for each in told]
    assert again.equals(table) or [*again.columns] == [*table.columns]
    values = [max(each.result.values.get("adding", [np.nan])) for each in told]
    np.testing.assert_allclose(again["value_adding"], values, rtol=1e-6)
    assert again["ratio"].notna().sum() == sum(each.result.ratio is not None for each in told)


def test_a_search_is_loaded_by_its_name(searched):
    folder = os.path.dirname(searched.storage.path)
    plan, told = load_search("found", os.path.dirname(folder))
    assert frame(plan, told).equals(frame(searched.plan, searched.told()))


def test_a_file_that_is_no_table_of_candidates_is_refused(tmp_path):
    (tmp_path / "x.parquet").write_text("no")
    with pytest.raises(ValueError, match="must be a table of candidates, as action=export"):
        read_table(tmp_path / "x.parquet")


def test_an_adopted_cell_is_a_variant_like_any_other(searched, told, tmp_path, composed):
    (member, *_) = best_of(searched)
    path = adopted(searched.plan, told, member.first.key, str(tmp_path / "variant" / f"found_{member.first.key}.yaml"))
    config = composed("trial", overrides=[f"hydra.searchpath=[file://{tmp_path}]", f"variant={path.stem}"])
    assert (config.variant.label, config.variant.equations) == (f"found_{member.first.key}", member.first.equations)
    assert construct(dict(config.variant), Cell).equations == member.first.equations


def test_a_hash_that_no_candidate_has_is_named_with_those_that_there_are(searched, told, tmp_path):
    key = best_of(searched)[0].first.key
    with pytest.raises(
        ValueError, match=f"^hash '{key[:-1]}' is that of no candidate of search 'found'; did you mean '{key}'"
    ):
        adopted(searched.plan, told, key[:-1], str(tmp_path / "x.yaml"))
    assert [*tmp_path.iterdir()] == []


def test_the_study_of_a_verdict_has_other_seeds_and_all_cells(searched, tmp_path, composed):
    best = best_of(searched)
    presets = write_study(searched.plan, best, 7, tmp_path)
    values = study_of(searched.plan, best, 7)
    assert [variant_node(entry)["label"] for entry in values["variants"]][-2:] == [f"found_{m.first.key}" for m in best]
    design = design_from(
        composed("sweep", overrides=[f"hydra.searchpath=[file://{presets}]", f"study={values['name']}"])
    )
    assert (design.points, design.baseline, [*design.tasks]) == (7, "gru", ["delayed_recall", "adding"])
    assert [*design.variants][-2:] == [f"found_{m.first.key}" for m in best]
    assert design.variants[f"found_{best[0].first.key}"]["equations"] == best[0].first.equations
    assert (design.training.budget, design.training.evaluations) == (150, 15)
    assert (design.seed == searched.plan.design.seed, [*design.space]) == (False, ["learning_rate"])


def test_a_verdict_is_the_mean_over_blocks_held_against_that_of_the_gru():
    plan = make_plan(toy="adding", budgets={"memorisation": 100})
    rows = [
        {"stage": stage, "block": block, "variant": variant, "task": task, "solved_step": step, "score": score}
        for stage, block, variant, task, step, score in [
            ("confirm", 0, "gru", "memorisation", 50, 1.0),
            ("confirm", 1, "gru", "memorisation", None, 0.5),
            ("confirm", 0, "gru", "delayed_recall", 0, 1.0),
            ("confirm", 0, "a", "memorisation", 120, 1.0),  # later than the budget of the search
            ("confirm", 1, "a", "memorisation", 20, 1.0),
            ("confirm", 0, "a", "delayed_recall", 75, 1.0),
            ("confirm", -1, "a", "delayed_recall", None, 0.0),  # a repeat tests nothing
            ("search", -1, "a", "memorisation", None, 0.0),
        ]
    ]
    assert confirmed(reached_in(plan, rows), "gru") == {"gru": 1.0, "a": min((1.0 + 1.8) / 2 / 1.0, 1.5 / 2.0)}


def test_optimism_is_what_the_search_said_more_than_was_confirmed(searched):
    best = best_of(searched)
    label = f"found_{best[0].first.key}"
    reached = {"gru": {"adding": {0: 1.0, 1: 2.0}}, label: {"adding": {1: 0.5, 0: 1.0}}}
    found = verdicts(best, reached, "gru")
    assert [(row["variant"], row["confirmed"]) for row in found] == [("gru", 1.0), (label, 0.5)]
    assert [row["optimism"] for row in found] == [None, pytest.approx(best[0].score - 0.5)]
    assert found[1]["reached"] == {"adding": [1.0, 0.5]}
    assert json.loads(json.dumps(found)) == found


def test_a_full_folder_of_kernels_loses_the_oldest_and_says_so(tmp_path, capsys):
    for k in range(6):
        path = tmp_path / "kernels" / f"{k}.kernel"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 2**18)
        os.utime(path, (k, k))
    assert trimmed(tmp_path / "kernels", 2 * 2**20) == ""
    with kernels_in(tmp_path, 1):
        make_room()
    assert sorted(p.name for p in (tmp_path / "kernels").iterdir()) == ["4.kernel", "5.kernel"]
    said = capsys.readouterr().err
    assert said.startswith("kernels of candidates: 1.5 MB in ")
    assert said.count("\n") == 1
    make_room()  # outside of a search nothing is removed
    assert len([*(tmp_path / "kernels").iterdir()]) == 2


def test_a_search_leaves_the_environment_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, "mine")
    with kernels_in(tmp_path, 5):
        assert os.environ[CACHE] == str(tmp_path / "kernels")
    assert os.environ[CACHE] == "mine"
