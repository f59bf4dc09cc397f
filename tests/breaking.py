"""Rules broken on purpose, for tests that see whether anybody notices."""

from contextlib import contextmanager


@contextmanager
def other_rules(op, rules):
    """Give an operation other derivative rules while this lasts."""
    kept = op.vjp
    changed(op, "vjp", rules)
    try:
        yield
    finally:
        changed(op, "vjp", kept)


def changed(op, field, value):
    """Give a record another field, with what is made of it, and kept, made anew."""
    object.__setattr__(op, field, value)
    op.__dict__.pop("float_rules", None)
