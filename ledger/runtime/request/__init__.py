"""What a request says, and what is refused in it. Knows no web framework."""
