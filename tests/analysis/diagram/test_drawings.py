"""Every cell is drawn rightly or refused: edges, places, and what a checker must find."""

import re
from collections import namedtuple
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from hypothesis import HealthCheck, event, given, settings

from analysis.diagram import CannotDraw, draw, png, svg, svg_of
from analysis.diagram.checking import borders, check, expected
from analysis.diagram.drawing import around, meet
from analysis.diagram.markup import style
from runs.configuration.outside import variant_of
from runs.trial.classes import construct
from tests.variants.formulas import cells
from variants import Cell, Gate, feed

NAMES = [n for n, cls in Cell.registry.items() if cls.__module__.startswith("variants.") and not cls.control]
CROWDED = {"lru": 1}  # numbers beside lines that lack room, by cell
CELLS = Path(__file__).parents[3] / "docs" / "cells"
SVG = "{http://www.w3.org/2000/svg}"


class SixGates(Cell):
    """Three fields, six gates, a feed, a vector and an operation of which the order of operands matters."""

    State = namedtuple("Three", ("y", "c", "m"))
    gates = (*(Gate(g, ("y",)) for g in ("z", "i", "f", "o", "k")), Gate("w", ("blend",)))
    vectors = ("p_k",)

    @feed
    def blend(self, a, s, p):
        return torch.sigmoid(a.k + p.p_k * s.m) * s.c

    def step(self, a, s, p):
        c = torch.sigmoid(a.f) * s.c + torch.sigmoid(a.i) * torch.tanh(a.z)
        m = 0.5 * s.m + torch.relu(a.w)
        return self.State(y=torch.sigmoid(a.o) * torch.tanh(c - m), c=c, m=m)


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_of_the_registry_is_drawn_with_each_edge_of_its_graph_once(drawings, name):
    drawing = drawings[name]
    a = drawing.abstract
    wires = [(w.of, w.to, w.role) for w in drawing.wires]
    assert sorted(wires, key=str) == sorted(expected(a, borders(a)), key=str)
    assert check(drawing) == []


@pytest.mark.parametrize("name", ["greff_v", "greff_cifg", "greff_noaf"])
def test_a_preset_is_drawn(name):
    assert check(draw(construct(variant_of(name, {}), Cell))) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_node_and_wire_names_a_node_of_the_traced_graph(drawings, name):
    drawing = drawings[name]
    values = {n.value for n in drawing.nodes} | {w.value for w in drawing.wires}
    assert max(values) < len(drawing.graph.nodes)
    assert {drawing.abstract.new[f] for f in drawing.abstract.shown} <= values


@pytest.mark.parametrize("name", NAMES)
def test_every_learned_layer_of_the_declaration_is_a_box(drawings, name):
    there = sorted(e.name for e in drawings[name].abstract.elements.values() if e.kind == "layer")
    assert there == sorted(gate.name for gate in Cell.registry[name]().for_layer(1).preactivations)


def test_what_makes_each_cell_another_one_is_in_its_drawing(drawings):
    def edges(name):
        a = drawings[name].abstract
        names = {e.number: e.name for e in a.elements.values()} | {n: f"{f}'" for f, n in a.old.items()}
        return {(names.get(of, ""), names.get(to, ""), role) for of, to, role in a.edges()}

    kinds = {name: [n.kind for n in d.nodes] for name, d in drawings.items()}
    labels = {name: [n.label for n in d.nodes] for name, d in drawings.items()}
    assert ("c'", "f", "p_f") in edges("peephole")
    assert kinds["lstm_1997"].count("cut") == 1
    assert kinds["memory_blocks"].count("cut") == 4
    assert labels["clockwork"].count("switch") == 2
    assert {"period", "≤ 0.5"} <= set(labels["clockwork"])
    assert {"i", "f", "o"} <= set(drawings["full_gate_recurrence"].abstract.old)
    assert "c_below" in labels["depth_gated"]
    assert "c_depth_below" in labels["grid"]
    assert labels["gru"].count("1−") == 1


def test_a_cell_of_six_gates_and_three_fields_is_drawn():
    drawing = draw(SixGates())
    assert check(drawing) == []
    assert sum(n.kind == "layer" for n in drawing.nodes) == 6
    assert {w.role for w in drawing.wires} >= {"a", "b", "p_k"}


def drawing_or_reason(cell):
    try:
        return draw(cell)
    except CannotDraw as error:
        return str(error)


@settings(deadline=None, database=None, derandomize=True, max_examples=3, suppress_health_check=list(HealthCheck))
@given(cell=cells())
def test_a_random_cell_is_drawn_rightly_or_refused_in_one_line(cell):
    found = drawing_or_reason(cell)
    event("refused" if isinstance(found, str) else "drawn")
    if isinstance(found, str):
        assert "\n" not in found
    else:
        assert check(found) == []


# What is wrong is found
# ---------------------------------------------------------------------------------------------------------------------


def changed(drawing, k, **what):
    wires = list(drawing.wires)
    wires[k] = replace(wires[k], **what)
    return replace(drawing, wires=wires)


def test_a_line_through_a_node_is_found(drawings):
    drawing = drawings["vanilla"]
    box = next(n for n in drawing.nodes if n.kind == "layer")
    k = next(k for k, w in enumerate(drawing.wires) if w.to != box.number and w.of != box.number)
    points = (*drawing.wires[k].points, (box.x, box.y))
    assert any("passes through" in fault for fault in check(changed(drawing, k, points=points)))


def test_a_line_that_is_missing_or_ends_elsewhere_is_found(drawings):
    drawing = drawings["gru"]
    assert check(replace(drawing, wires=drawing.wires[1:])) != []
    k = next(k for k, w in enumerate(drawing.wires) if w.to == drawing.abstract.new["h"])
    assert check(changed(drawing, k, to=drawing.wires[k].of)) != []
    shorter = (*drawing.wires[k].points[:-1], (-20.0, -20.0))
    assert any("end where" in fault for fault in check(changed(drawing, k, points=shorter)))


def test_lines_of_two_values_on_each_other_are_found(drawings):
    drawing = drawings["vanilla"]
    old = drawing.abstract.old
    belt = next(w for w in drawing.wires if w.of == old["c"])
    k = next(k for k, w in enumerate(drawing.wires) if w.of == old["y"])
    (x0, y0), (x1, _) = belt.points
    points = ((x0 + 20, y0), (x1 - 20, y0))
    assert any("lie on each other" in fault for fault in check(changed(drawing, k, points=points)))


def test_nodes_and_labels_on_each_other_and_outside_of_the_frame_are_found(drawings):
    drawing = drawings["vanilla"]
    one, other, *rest = drawing.nodes
    moved = [replace(one, x=other.x + 5, y=other.y), other, *rest]
    assert any("overlaps" in fault for fault in check(replace(drawing, nodes=moved)))
    out = [replace(one, x=drawing.frame[2] + 100), other, *rest]
    assert any("outside of the frame" in fault for fault in check(replace(drawing, nodes=out)))
    texts = [replace(drawing.texts[0], x=one.x, y=one.y), *drawing.texts[1:]]
    assert any("overlaps" in fault for fault in check(replace(drawing, texts=texts)))


def test_a_line_that_begins_beside_its_source_is_found(drawings):
    drawing = drawings["gru"]
    numbers = {n.number for n in drawing.nodes if n.kind == "layer"}
    k = next(k for k, w in enumerate(drawing.wires) if w.of in numbers)
    points = ((-20.0, -20.0), *drawing.wires[k].points[1:])
    assert any("begin where" in fault for fault in check(changed(drawing, k, points=points)))


def test_a_line_that_ends_on_that_of_another_value_is_found(drawings):
    drawing = drawings["vanilla"]
    old = drawing.abstract.old
    (x, y), _ = next(w for w in drawing.wires if w.of == old["c"]).points
    k = next(k for k, w in enumerate(drawing.wires) if w.of == old["y"])
    points = ((x + 20, y + 30), (x + 20, y))
    assert any(" touch at " in fault for fault in check(changed(drawing, k, points=points)))


def test_a_label_on_a_line_or_on_another_label_is_found(drawings):
    drawing = drawings["vanilla"]
    one, other, *rest = drawing.texts
    (x0, y0), (x1, y1) = drawing.wires[0].points[:2]
    on_line = replace(one, x=(x0 + x1) / 2, y=(y0 + y1) / 2)
    fault = f"{one.text} lies on the line of value {drawing.wires[0].of}"
    assert fault in check(replace(drawing, texts=[on_line, other, *rest]))
    on_label = replace(one, x=other.x, y=other.y)
    assert f"{one.text} overlaps {other.text}" in check(replace(drawing, texts=[on_label, other, *rest]))


def test_what_stands_outside_of_the_picture_is_found(drawings):
    drawing = drawings["vanilla"]
    assert any("outside of the picture" in fault for fault in check(replace(drawing, width=drawing.width / 2)))


# SVG and PNG
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_svg_is_well_formed_and_has_every_node_and_wire_as_a_group(drawings, name):
    drawing = drawings[name]
    root = ElementTree.fromstring(svg(drawing, walk=True))
    assert root.find(f"{SVG}title").text
    assert root.find(f"{SVG}desc").text

    def values(kind):
        return [int(g.get("data-value")) for g in root.iter(f"{SVG}g") if (g.get("class") or "").split()[:1] == [kind]]

    assert sorted(values("wire")) == sorted(w.value for w in drawing.wires)
    assert values("node") == [n.value for n in drawing.nodes]
    numbers = [t.get("data-value") for t in root.iter(f"{SVG}text") if t.get("class") == "number"]
    assert len(numbers) == len(set(numbers)) == len({w.value for w in drawing.wires if w.value >= 0})


@pytest.mark.parametrize("name", NAMES)
def test_every_number_beside_a_line_has_the_room_that_it_needs(drawings, name):
    drawing = drawings[name]
    spots = [w.spot for w in drawing.wires if w.spot is not None]
    boxes = [(x - 17, y - 11, x + 17, y + 11) for x, y in spots]
    fixed = [n.box for n in drawing.nodes] + [t.box for t in drawing.texts]
    lines = [around(a, b) for w in drawing.wires for a, b in pairwise(w.points)]
    others = {k: fixed + lines + boxes[:k] for k in range(len(boxes))}
    crowded = [spots[k] for k, box in enumerate(boxes) if any(meet(box, other) for other in others[k])]
    assert len(crowded) <= CROWDED.get(name, 0)


@pytest.mark.parametrize("name", NAMES)
def test_every_line_to_an_output_ends_below_its_middle(drawings, name):
    drawing = drawings[name]
    middles = {n.x for n in drawing.nodes if n.kind == "output"}
    rising = [w.points for w in drawing.wires if isinstance(w.to, str) and w.points[-1][0] == w.points[-2][0]]
    tops = {points[-1][0] for points in rising}
    assert tops == middles


@pytest.mark.parametrize("name", NAMES)
def test_no_text_is_below_eight_points(drawings, name):
    sizes = [float(size) for size in re.findall(r'font-size="([\d.]+)"', svg(drawings[name], walk=True))]
    sizes += [float(size) for size in re.findall(r"font-size:([\d.]+)px", style())]
    assert min(sizes) >= 8 * 96 / 72


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_in_the_documentation_is_the_drawing(drawings, name):
    there = (CELLS / f"{name}.svg").read_text(encoding="utf-8")
    assert there == svg(drawings[name]), f"docs/cells/{name}.svg is out of date: run `make docs`"


def test_the_same_cell_gives_the_same_bytes(drawings):
    assert svg(draw(Cell.registry["peephole"]())) == svg(drawings["peephole"])


def test_marked_values_are_drawn_in_another_colour(drawings):
    drawing = drawings["gru"]
    value = drawing.abstract.new["h"]
    root = ElementTree.fromstring(svg(drawing, marked=frozenset([value])))
    marked = {g.get("data-value") for g in root.iter(f"{SVG}g") if "marked" in (g.get("class") or "")}
    assert marked == {str(value)}


def test_a_png_has_two_dots_a_unit(drawings, tmp_path):
    from matplotlib.image import imread

    drawing = drawings["rnn"]
    png(drawing, tmp_path / "rnn.png")
    height, width, _ = imread(tmp_path / "rnn.png").shape
    assert (width, height) == pytest.approx((2 * drawing.width, 2 * drawing.height), abs=2)


def test_names_that_begin_or_end_with_an_underscore_are_written_as_png(tmp_path):
    class Underscored(Cell):
        State = namedtuple("State", ("h",))
        gates = ("_g",)
        vectors = ("p_",)

        def step(self, a, s, p):
            return self.State(torch.tanh(a._g + p.p_ * s.h))

    png(draw(Underscored()), tmp_path / "underscored.png")
    assert (tmp_path / "underscored.png").exists()


class Leaky(Cell):
    State = namedtuple("Leak", ("h",))
    gates = ("n", "l")

    def step(self, a, s, p):
        keep = torch.sigmoid(a.l)
        return self.State(keep * s.h + (1 - keep) * torch.tanh(a.n))


class Detached(Leaky):
    def step(self, a, s, p):
        keep = torch.sigmoid(a.l)
        return self.State(keep * s.h.detach() + (1 - keep) * torch.tanh(a.n))


class HalfDetached(Leaky):
    def step(self, a, s, p):
        keep = torch.sigmoid(a.l)
        return self.State(keep.detach() * s.h + (1 - keep) * torch.tanh(a.n))


class Mistaken(Leaky):
    def step(self, a, s, p):
        return self.State(a.m * s.h)


class Constant(Leaky):
    def step(self, a, s, p):
        return self.State(torch.zeros_like(s.h))


class Crowded(Leaky):
    def step(self, a, s, p):
        h = torch.relu(torch.nn.functional.gelu(a.n)) + torch.nn.functional.mish(a.l) + s.h.abs().sqrt()
        return self.State(h + torch.nn.functional.softplus(s.h) + torch.nn.functional.elu(s.h))


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (Detached, "its formula cuts or changes the gradient by h', which"),
        (HalfDetached, "its formula cuts or changes the gradient by l, which"),
        (Mistaken, "its formula fails: AttributeError: there is no 'm' here; there is: n, l"),
    ],
)
def test_a_gradient_that_takes_another_way_and_a_mistake_are_refused(cell, reason):
    with pytest.raises(CannotDraw, match=re.escape(reason)):
        draw(cell())


@pytest.mark.parametrize("cell", [Leaky, Constant, Crowded])
def test_a_cell_of_ones_own_is_written_as_svg(cell):
    ElementTree.fromstring(svg(draw(cell())))


def test_what_cannot_be_traced_names_the_reason_and_gives_no_svg():
    class Cumulative(Cell):
        State = namedtuple("State", ("h",))
        gates = ("n",)

        def step(self, a, s, p):
            return self.State(torch.cumsum(a.n, -1))

    with pytest.raises(CannotDraw, match=r"Cumulative: cannot be traced: .*cumsum"):
        draw(Cumulative())
    with pytest.raises(CannotDraw, match="native_lstm: a kernel of the library"):
        draw(Cell.registry["native_lstm"]())
    assert svg_of({"_target_": "variants.NativeGRU", "label": "native_gru"}) == ""
    assert svg_of({"_target_": "variants.GRU", "label": "gru", "keep_bias": 1.0}).startswith("<svg")
