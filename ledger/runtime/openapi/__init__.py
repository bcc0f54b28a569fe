"""What a service tells of its HTTP API: an OpenAPI document, and a page that shows it. Knows no web framework."""
