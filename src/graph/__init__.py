"""What an expression is: graphs, handles to their nodes, values that remember, formulas."""
