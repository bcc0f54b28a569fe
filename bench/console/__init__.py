"""The console's screens on a ledger with one long history, and tabs that stay open, on an AWS in memory."""
