"""A walk-through as blocks, and blocks as text, Markdown, LaTeX and HTML."""
