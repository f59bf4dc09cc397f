"""What an expression is, and every transform from graph to graph."""
