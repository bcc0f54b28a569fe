"""What a command does: load, decide, append. Knows no HTTP framework."""
