"""What can never be applied: letters, halted accounts, redrive and skip."""
