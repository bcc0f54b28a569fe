"""What a request passes before it meets a route."""
