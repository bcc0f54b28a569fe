"""What operators did: one log for commands, HTTP and console alike."""
