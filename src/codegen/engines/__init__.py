"""Statements for engines that hold arrays of their own: JAX and torch."""
