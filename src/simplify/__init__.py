"""Simplification: rules as data, the passes that apply them, stable forms."""
