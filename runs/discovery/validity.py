"""STUB."""


def static_refusal(graph):
    return ""


def pruned(graph):
    return graph


def refusal(graph):
    return "" if "relu(relu" not in graph.text else "twice relu"
