"""What `draw_dot` is made of: the boxes, groups of them, and pictures without `dot`."""
