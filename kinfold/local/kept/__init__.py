"""An embedded AWS whose state is kept over restarts."""
