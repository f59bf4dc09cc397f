"""Derivatives as graph transforms."""
