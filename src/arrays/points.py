"""The points of statements, which the meanings of records have too: `ops/points.py`."""

from ..ops.points import Columns, extended, flat_places, holds, numbers, points

__all__ = ["Columns", "extended", "flat_places", "holds", "numbers", "points"]
