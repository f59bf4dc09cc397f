"""Straight-line code on whole arrays: NumPy."""
