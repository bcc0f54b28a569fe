"""What the console looks at, gathered by the functions that the commands look by."""
