"""What projectors make of the stream: rows, checkpoints, halts and their letters, and generations."""
