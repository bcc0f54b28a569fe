"""What the HTTP servers of all services share."""
