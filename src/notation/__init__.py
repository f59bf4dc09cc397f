"""Doors to other notations: formulas as text, networkx, JSON, sympy, MathML."""
