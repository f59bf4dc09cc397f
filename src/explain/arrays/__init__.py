"""Walk-throughs in index notation: expressions of arrays, and networks that were rolled."""
