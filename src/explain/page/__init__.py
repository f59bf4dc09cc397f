"""A walk-through as an HTML page: its steps beside a picture, and numbers that move."""
