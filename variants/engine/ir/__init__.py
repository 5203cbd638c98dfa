"""The formula of a step as a graph: tracing, what the operations of torch mean, schedule and derivatives."""
