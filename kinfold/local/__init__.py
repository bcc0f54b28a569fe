"""`kinfold up`: the embedded AWS and the services as processes of this machine."""
