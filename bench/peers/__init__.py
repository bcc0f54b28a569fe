"""The same work as it is usually written: the peers that Kinfold is measured against. No Kinfold code is in them."""
