"""Pictures of expressions: boxes, groups of them, and pictures without `dot`."""
