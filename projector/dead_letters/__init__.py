"""What can never be applied: letters, halted aggregates, redrive and skip."""
