"""What is stored reaches the stream: whole, and by the relay in order."""
