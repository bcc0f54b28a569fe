"""What goes wrong at calls: the weather of AWS, its outages, and processes interrupted between two of their calls."""
