"""A function as a file of its own, with what was shown of it."""
