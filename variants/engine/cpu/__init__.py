"""From the graph of a step to machine code of the CPU."""
