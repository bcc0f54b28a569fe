"""`kinfold load`: HTTP load on a running writer."""
