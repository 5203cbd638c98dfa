"""Every cell a second time: one step of each in NumPy, written from the papers, one matrix per gate, knowing nothing of
`variants`.

A step takes the input x [B, I], the parameters w by name (W_f [H, I], R_f [H, H], b_f [H], p_f [H]), the previous state
by field [B, H]
and where it is: the step t, the layer below, the knobs. It returns the new state by field, the output first.
"""

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy import ndarray, tanh

State = dict[str, ndarray]
Step = Callable[[ndarray, Mapping[str, ndarray], State, Any], State]


def s(v: ndarray) -> ndarray:
    return 1.0 / (1.0 + np.exp(-v))


def net(x: ndarray, h: ndarray, w: Mapping[str, ndarray], gate: str) -> ndarray:
    """W x + R h + b."""
    return x @ w[f"W_{gate}"].T + h @ w[f"R_{gate}"].T + w[f"b_{gate}"]


def peephole_of(w: Mapping[str, ndarray], gate: str, c: ndarray) -> ndarray:
    return w[f"p_{gate}"] * c if f"p_{gate}" in w else np.zeros_like(c)


def vanilla(x, w, old, at):
    y, c = old["y"], old["c"]
    z = tanh(net(x, y, w, "z"))
    i = s(net(x, y, w, "i") + peephole_of(w, "i", c))
    f = s(net(x, y, w, "f") + peephole_of(w, "f", c))
    c = f * c + i * z
    o = s(net(x, y, w, "o") + peephole_of(w, "o", c))
    return {"y": o * tanh(c), "c": c}


def peephole(x, w, old, at):
    y, c = old["y"], old["c"]
    i = s(net(x, y, w, "i") + peephole_of(w, "i", c))
    f = s(net(x, y, w, "f") + peephole_of(w, "f", c))
    c = f * c + i * tanh(net(x, y, w, "z"))
    o = s(net(x, y, w, "o") + peephole_of(w, "o", c))
    return {"y": o * tanh(c), "c": c}


def lstmp(x, w, old, at):
    new = vanilla(x, w, old, at)
    return {"y": new["y"] @ w["R_y"].T, "c": new["c"]}


def coupled(x, w, old, at):
    y, c = old["y"], old["c"]
    i = s(net(x, y, w, "i") + peephole_of(w, "i", c))
    c = (1 - i) * c + i * tanh(net(x, y, w, "z"))
    o = s(net(x, y, w, "o") + peephole_of(w, "o", c))
    return {"y": o * tanh(c), "c": c}


def no_forget_gate(x, w, old, at):
    y, c = old["y"], old["c"]
    i = s(net(x, y, w, "i") + peephole_of(w, "i", c))
    c = c + i * tanh(net(x, y, w, "z"))
    o = s(net(x, y, w, "o") + peephole_of(w, "o", c))
    return {"y": o * tanh(c), "c": c}


def no_input_gate(x, w, old, at):
    y, c = old["y"], old["c"]
    f = s(net(x, y, w, "f") + peephole_of(w, "f", c))
    c = f * c + tanh(net(x, y, w, "z"))
    o = s(net(x, y, w, "o") + peephole_of(w, "o", c))
    return {"y": o * tanh(c), "c": c}


def no_output_gate(x, w, old, at):
    y, c = old["y"], old["c"]
    i = s(net(x, y, w, "i") + peephole_of(w, "i", c))
    f = s(net(x, y, w, "f") + peephole_of(w, "f", c))
    c = f * c + i * tanh(net(x, y, w, "z"))
    return {"y": tanh(c), "c": c}


def no_input_activation(x, w, old, at):
    y, c = old["y"], old["c"]
    i = s(net(x, y, w, "i") + peephole_of(w, "i", c))
    f = s(net(x, y, w, "f") + peephole_of(w, "f", c))
    c = f * c + i * net(x, y, w, "z")
    o = s(net(x, y, w, "o") + peephole_of(w, "o", c))
    return {"y": o * tanh(c), "c": c}


def no_output_activation(x, w, old, at):
    y, c = old["y"], old["c"]
    i = s(net(x, y, w, "i") + peephole_of(w, "i", c))
    f = s(net(x, y, w, "f") + peephole_of(w, "f", c))
    c = f * c + i * tanh(net(x, y, w, "z"))
    o = s(net(x, y, w, "o") + peephole_of(w, "o", c))
    return {"y": o * c, "c": c}


def full_gate_recurrence(x, w, old, at):
    y, c = old["y"], old["c"]

    def gates(g):
        return old["i"] @ w[f"R_{g}_i"].T + old["f"] @ w[f"R_{g}_f"].T + old["o"] @ w[f"R_{g}_o"].T

    i = s(net(x, y, w, "i") + gates("i") + peephole_of(w, "i", c))
    f = s(net(x, y, w, "f") + gates("f") + peephole_of(w, "f", c))
    c = f * c + i * tanh(net(x, y, w, "z"))
    o = s(net(x, y, w, "o") + gates("o") + peephole_of(w, "o", c))
    return {"y": o * tanh(c), "c": c, "i": i, "f": f, "o": o}


def modular_lstm(x, w, old, at):
    k, y, c = at.knobs, old["y"], old["c"]
    own = [g for g in "ifo" if f"W_{g}" in w]

    def gate(name, c):
        if name not in own:
            return 1.0
        heard = sum(old[g] @ w[f"R_{name}_{g}"].T for g in own) if k["gate_recurrence"] else 0.0
        return s(net(x, y, w, name) + heard + peephole_of(w, name, c))

    z = net(x, y, w, "z")
    i, f = gate("i", c), gate("f", c)
    f = 1 - i if k["coupled"] else f
    c_new = f * c + i * (np.tanh(z) if k["input_activation"] else z)
    o = gate("o", c_new)
    shown = {"y": o * (np.tanh(c_new) if k["output_activation"] else c_new), "c": c_new}
    gates = {"i": i, "f": f, "o": o}
    return {**shown, **{g: gates[g] for g in own if k["gate_recurrence"]}}


def lstm_1997(x, w, old, at):
    heard = old["y"] if at.heard is None else at.heard  # for the truncated gradient: y' as a constant
    g = 4 * s(net(x, heard, w, "z")) - 2
    c = old["c"] + s(net(x, heard, w, "i")) * g
    h = 2 * s(c) - 1
    return {"y": s(net(x, heard, w, "o")) * h, "c": c}


def memory_blocks(x, w, old, at):
    heard = np.concatenate([old[u] for u in ("y1", "y2", "i", "o")], 1) if at.heard is None else at.heard

    def net_of(unit):
        sources = ("", "_constant_y2", "_constant_i", "_constant_o")
        return net(x, heard, w | {f"R_{unit}": np.concatenate([w[f"R_{unit}{source}"] for source in sources], 1)}, unit)

    i, o = s(net_of("i")), s(net_of("o"))
    c1 = old["c1"] + i * (4 * s(net_of("z1")) - 2)
    c2 = old["c2"] + i * (4 * s(net_of("z2")) - 2)
    return {"y1": o * (2 * s(c1) - 1), "y2": o * (2 * s(c2) - 1), "c1": c1, "c2": c2, "i": i, "o": o}


def gru(x, w, old, at):
    h = old["h"]
    r = s(net(x, h, w, "r"))
    u = s(net(x, h, w, "u"))
    n = tanh(net(x, r * h, w, "n"))
    return {"h": u * h + (1 - u) * n}


def gru_reset_after(x, w, old, at):
    h = old["h"]
    r = s(net(x, h, w, "r"))
    u = s(net(x, h, w, "u"))
    n = tanh(x @ w["W_n"].T + w["b_n"] + r * (h @ w["R_m"].T + w["b_m"]))
    return {"h": u * h + (1 - u) * n}


def rnn(x, w, old, at):
    return {"h": tanh(net(x, old["h"], w, "h"))}


def irnn(x, w, old, at):
    return {"h": np.maximum(net(x, old["h"], w, "h"), 0.0)}


def mut1(x, w, old, at):
    h = old["h"]
    u = s(x @ w["W_u"].T + w["b_u"])
    r = s(net(x, h, w, "r"))
    return {"h": tanh((r * h) @ w["R_n"].T + tanh(x @ w["W_p"].T) + w["b_n"]) * u + h * (1 - u)}


def mut2(x, w, old, at):
    h = old["h"]
    u = s(net(x, h, w, "u"))
    r = s(x @ w["W_r"].T + h @ w["R_r"].T + w["b_r"])
    return {"h": tanh((r * h) @ w["R_n"].T + x @ w["W_n"].T + w["b_n"]) * u + h * (1 - u)}


def mut3(x, w, old, at):
    h = old["h"]
    u = s(net(x, tanh(h), w, "u"))
    r = s(net(x, h, w, "r"))
    return {"h": tanh((r * h) @ w["R_n"].T + x @ w["W_n"].T + w["b_n"]) * u + h * (1 - u)}


def clockwork(x, w, old, at):
    h = old["h"].copy()
    periods = at.knobs["periods"]
    size = h.shape[1] // len(periods)
    wait = np.empty_like(h)
    for k, period in enumerate(periods):
        mine = slice(k * size, (k + 1) * size)
        if at.t % period == 0:
            v = x @ w["W_h"][mine].T + w["b_h"][mine]
            for j in range(len(periods)):
                theirs = slice(j * size, (j + 1) * size)
                if periods[j] >= period:
                    v = v + old["h"][:, theirs] @ w["R_h"][mine, theirs].T
            h[:, mine] = tanh(v)
        wait[:, mine] = -(at.t + 1) % period
    return {"h": h, "wait": wait}


def depth_gated(x, w, old, at):
    y, c = old["y"], old["c"]
    i = s(net(x, y, w, "i") + peephole_of(w, "i", c))
    f = s(net(x, y, w, "f") + peephole_of(w, "f", c))
    depth = x @ w["W_d"].T + w["b_d"] + w["w_cd"] * c
    if at.below is None:
        lower = x @ w["W_l"].T
    else:
        lower = at.below["c"]
        depth = depth + w["w_ld"] * lower
    c = f * c + i * tanh(net(x, y, w, "z")) + s(depth) * lower
    o = s(net(x, y, w, "o") + peephole_of(w, "o", c))
    return {"y": o * tanh(c), "c": c}


def grid(x, w, old, at):
    def lstm(v, h, c, dimension):
        z = tanh(net(v, h, w, "z" + dimension))
        i = s(net(v, h, w, "i" + dimension))
        o = s(net(v, h, w, "o" + dimension))
        c = i * z if c is None else s(net(v, h, w, "f" + dimension)) * c + i * z
        return o * tanh(c), c

    h_time, c_time = lstm(x, old["h_time"], old["c_time"], "t")
    h_depth, c_depth = lstm(x, h_time, None if at.below is None else at.below["c_depth"], "d")
    return {"h_depth": h_depth, "c_depth": c_depth, "h_time": h_time, "c_time": c_time}


def min_gru(x, w, old, at):
    z = s(x @ w["W_u"].T + w["b_u"])
    n = x @ w["W_n"].T + w["b_n"]
    if at.knobs["positive"]:
        n = np.where(n >= 0, n + 0.5, s(n))
    return {"h": (1 - z) * old["h"] + z * n}


def min_lstm(x, w, old, at):
    f = s(x @ w["W_f"].T + w["b_f"])
    i = s(x @ w["W_i"].T + w["b_i"])
    n = x @ w["W_n"].T + w["b_n"]
    if at.knobs["positive"]:
        n = np.where(n >= 0, n + 0.5, s(n))
    return {"h": f / (f + i) * old["h"] + i / (f + i) * n}


def mgu(x, w, old, at):
    f = s(net(x, old["h"], w, "f"))
    return {"h": (1 - f) * old["h"] + f * tanh(net(x, f * old["h"], w, "n"))}


def ugrnn(x, w, old, at):
    g = s(net(x, old["h"], w, "u"))
    return {"h": g * old["h"] + (1 - g) * tanh(net(x, old["h"], w, "n"))}


def li_gru(x, w, old, at):
    z = s(net(x, old["h"], w, "u"))
    return {"h": z * old["h"] + (1 - z) * np.maximum(net(x, old["h"], w, "n"), 0.0)}


def janet(x, w, old, at):
    v = net(x, old["h"], w, "f")
    return {"h": s(v) * old["h"] + (1 - s(v - at.knobs["beta"])) * tanh(net(x, old["h"], w, "n"))}


def star(x, w, old, at):
    k = s(net(x, old["h"], w, "k"))
    z = tanh(x @ w["W_z"].T + w["b_z"])
    return {"h": tanh((1 - k) * old["h"] + k * z)}


def ran(x, w, old, at):
    c = s(net(x, old["y"], w, "i")) * (x @ w["W_z"].T) + s(net(x, old["y"], w, "f")) * old["c"]
    return {"y": tanh(c), "c": c}


def cfn(x, w, old, at):
    theta, eta = s(net(x, old["h"], w, "f")), s(net(x, old["h"], w, "i"))
    return {"h": theta * tanh(old["h"]) + eta * tanh(x @ w["W_n"].T)}


def strongly_typed(x, w, old, at):
    f = s(x @ w["W_f"].T + w["b_f"])
    return {"h": f * old["h"] + (1 - f) * (x @ w["W_z"].T)}


def qrnn(x, w, old, at):
    z, f, o = (x @ w[f"W_{gate}"].T + w[f"b_{gate}"] for gate in "zfo")
    c = s(f) * old["c"] + (1 - s(f)) * tanh(z)
    return {"y": s(o) * c, "c": c}


def sru(x, w, old, at):
    f = s(x @ w["W_f"].T + w["p_f"] * old["c"] + w["b_f"])
    r = s(x @ w["W_r"].T + w["p_r"] * old["c"] + w["b_r"])
    c = f * old["c"] + (1 - f) * (x @ w["W_z"].T)
    return {"y": r * c + (1 - r) * (x @ w["W_y"].T), "c": c}


def nas(x, w, old, at):
    one, two, three, five, six, seven, eight = (net(x, old["y"], w, f"v{k}") for k in (1, 2, 3, 5, 6, 7, 8))
    four = (x @ w["W_k4"].T) * (old["y"] @ w["R_m4"].T + w["b_m4"])
    first = tanh(s(one) * np.maximum(two, 0))
    second = tanh(s(three) + np.maximum(four, 0))
    third = tanh(tanh(five) * s(six))
    fourth = s(tanh(seven) + s(eight))
    c = tanh(first + old["c"]) * second
    return {"y": tanh(c * tanh(third + fourth)), "c": c}


def scrn(x, w, old, at):
    alpha = at.knobs["alpha"]
    c = (1 - alpha) * (x @ w["W_c"].T) + alpha * old["c"]
    return {"h": s(net(x, old["h"], w, "h") + c @ w["R_h_context"].T), "c": c}


def multiplicative_lstm(x, w, old, at):
    m = (x @ w["W_m"].T) * (old["y"] @ w["R_k"].T)
    c = s(net(x, m, w, "f")) * old["c"] + s(net(x, m, w, "i")) * tanh(net(x, m, w, "z"))
    return {"y": tanh(c) * s(net(x, m, w, "o")), "c": c}


def indrnn(x, w, old, at):
    return {"h": np.maximum(x @ w["W_h"].T + w["p_h"] * old["h"] + w["b_h"], 0.0)}


def lem(x, w, old, at):
    dt = at.knobs["dt"]
    step_y, step_z = (dt * s(net(x, old["y"], w, gate)) for gate in "de")
    z = (1 - step_z) * old["c"] + step_z * tanh(net(x, old["y"], w, "z"))
    return {"y": (1 - step_y) * old["y"] + step_y * tanh(net(x, z, w, "n")), "c": z}


def cornn(x, w, old, at):
    dt, gamma, epsilon = (at.knobs[name] for name in ("dt", "gamma", "epsilon"))
    y, z = old["y"], old["c"]
    force = tanh(net(x, y, w, "n") + z @ w["R_n_c"].T)
    z = z + dt * force - dt * gamma * y - dt * epsilon * z
    return {"y": y + dt * z, "c": z}


def lru(x, w, old, at):
    memory = np.exp(-np.exp(w["nu"]) + 1j * np.exp(w["theta"])) * (old["a"] + 1j * old["b"])
    memory = memory + np.exp(w["gamma"]) * (x @ (w["W_a"] + 1j * w["W_b"]).T)
    y = (memory @ (w["R_y"] - 1j * w["R_y_imaginary"]).T).real + x @ w["W_y"].T
    return {"y": y, "a": memory.real, "b": memory.imag}


def rg_lru(x, w, old, at):
    r, i = (s(x @ w[f"W_{gate}"].T + w[f"b_{gate}"]) for gate in "ri")
    a = s(w["p_a"]) ** (8 * r)
    return {"h": a * old["h"] + np.sqrt(1 - a**2) * (i * (x @ w["W_n"].T))}


def fast_grnn(x, w, old, at):
    v = x @ w["W_u"].T + old["h"] @ w["R_u"].T
    z = s(v + w["b_u"])
    return {"h": (s(w["zeta"]) * (1 - z) + s(w["nu"])) * tanh(v + w["b_n"]) + z * old["h"]}


def antisymmetric_rnn(x, w, old, at):
    matrix = w["R_h"] - w["R_h"].T - at.knobs["gamma"] * np.eye(len(w["b_h"]))
    return {"h": old["h"] + at.knobs["dt"] * tanh(x @ w["W_h"].T + old["h"] @ matrix.T + w["b_h"])}


def slstm(x, w, old, at):
    units, size = len(w["b_f"]), w["R_f"].shape[1]  # size of a head
    whole = {f"R_{gate}": np.zeros((units, units)) for gate in "zifo"}
    for name, matrix in whole.items():
        for head in range(at.knobs["heads"]):
            mine = slice(head * size, (head + 1) * size)
            matrix[mine, mine] = w[name][mine]
    w = {**w, **whole}
    log_f = -np.log1p(np.exp(-net(x, old["y"], w, "f")))
    log_i = net(x, old["y"], w, "i")
    m = np.maximum(log_f + old["m"], log_i)
    f, i = np.exp(log_f + old["m"] - m), np.exp(log_i - m)
    c = f * old["c"] + i * tanh(net(x, old["y"], w, "z"))
    n = f * old["n"] + i
    return {"y": s(net(x, old["y"], w, "o")) * c / n, "c": c, "n": n, "m": m}


def formula(x, w, old, at):
    """The default equations, or those of tests/variants/cases.py."""
    if "W_z" in w:
        return vanilla(x, w, old, at)
    u = s(net(x, old["h"], w, "u"))
    return {"h": u * old["h"] + (1 - u) * np.tanh(net(x, u * old["h"], w, "n"))}


STEPS: dict[str, Step] = {
    step.__name__: step
    for step in (
        *(
            vanilla,
            peephole,
            lstmp,
            coupled,
            no_forget_gate,
            no_input_gate,
            no_output_gate,
            no_input_activation,
            no_output_activation,
        ),
        *(
            full_gate_recurrence,
            modular_lstm,
            lstm_1997,
            memory_blocks,
            gru,
            gru_reset_after,
            rnn,
            irnn,
            mut1,
            mut2,
            mut3,
            clockwork,
            depth_gated,
            grid,
            formula,
        ),
        *(min_gru, min_lstm, mgu, ugrnn, li_gru, janet, star, ran, cfn),
        *(
            strongly_typed,
            qrnn,
            sru,
            nas,
            scrn,
            multiplicative_lstm,
            indrnn,
            lem,
            cornn,
            lru,
            rg_lru,
            fast_grnn,
            antisymmetric_rnn,
            slstm,
        ),
    )
}


def mlstm(x, w, old, at):
    """Without a stabiliser: what is stored is c and n times exp(m)."""
    heads = at.knobs["heads"]
    batch, units = len(x), len(w["b_o"])
    size = units // heads
    q, k, v = ((x @ w[f"W_{g}"].T + w[f"b_{g}"]).reshape(batch, heads, size) for g in "qkv")
    k = k / np.sqrt(size)
    i, f = np.exp(x @ w["W_i"].T + w["b_i"]), s(x @ w["W_f"].T + w["b_f"])  # [B, heads]
    c, n = np.zeros((batch, heads, size, size)), np.zeros((batch, heads, size))
    y = np.zeros((batch, heads, size))
    for b in range(batch):
        for head in range(heads):
            scale = np.exp(old["m"][b, head])
            before = old["c"].reshape(c.shape)[b, head] * scale, old["n"].reshape(n.shape)[b, head] * scale
            c[b, head] = f[b, head] * before[0] + i[b, head] * np.outer(v[b, head], k[b, head])
            n[b, head] = f[b, head] * before[1] + i[b, head] * k[b, head]
            y[b, head] = c[b, head] @ q[b, head] / max(abs(n[b, head] @ q[b, head]), 1.0)
    y = s(x @ w["W_o"].T + w["b_o"]) * y.reshape(batch, units)
    return {"y": y, "c": c.reshape(batch, -1), "n": n.reshape(batch, -1), "m": np.zeros((batch, heads))}


CONTROLS: dict[str, Step] = {"mlstm": mlstm}
"""Controls whose second form is here; those of the library have declared cells (tests/variants/layers/test_native.py).
"""


SHOWN = {
    "memory_blocks": ("y1", "y2"),
    "scrn": ("h", "c"),
}  # fields that make up the output, where they are not the first alone


def run(
    name: str,
    inputs: ndarray,
    layers: Sequence[Mapping[str, ndarray]],
    states: Sequence[State],
    knobs: Mapping[str, Any],
    projection: ndarray | None = None,
    heard: Sequence[ndarray] | None = None,
) -> tuple[ndarray, list[State]]:
    """A stack of layers over a sequence: outputs [T, B, O] of the highest layer and every layer's last state.

    layers: parameters of each layer. projection: of the input, [H, I]. heard: of one layer, y' of every step as
    constants.
    """
    x = inputs if projection is None else inputs @ projection.T
    below: list[State] | None = None
    final = []
    for w, start in zip(layers, states, strict=True):
        state, sequence = start, []
        for t in range(len(x)):
            at = SimpleNamespace(
                t=t, below=below[t] if below else None, knobs=knobs, heard=None if heard is None else heard[t]
            )
            state = (STEPS | CONTROLS)[name](x[t], w, state, at)
            sequence.append(state)
        final.append(state)
        below = sequence
        shown = SHOWN.get(name, tuple(start)[:1])
        x = np.stack([np.concatenate([state[field] for field in shown], -1) for state in sequence])
    return x, final
