"""From a graph to running code."""
