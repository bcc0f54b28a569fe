"""The settings of every service and command: what there is, and what is misspelt."""
