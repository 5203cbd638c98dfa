"""STUB."""

from .graph import Graph
from .mutation import mutate


def fresh(generator):
    g = Graph.read("u = s(W_u x + R_u h' + b_u)\nh = tanh(W_n x + R_n (u*h') + b_n)")
    for _ in range(4):
        g = mutate(g, generator)
    return g
