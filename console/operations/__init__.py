"""What can be done in the console: commands of Kinfold, filled in by a form and run as processes of their own."""
