"""Straight-line code on scalars: Python and JavaScript."""
