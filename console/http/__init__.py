"""The console over HTTP: pages that are made here, forms that are the console's own, and nothing of any other host."""
