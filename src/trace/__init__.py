"""A user's own Python function, traced once per structure of its arguments and then compiled."""
