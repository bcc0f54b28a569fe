"""How fast long work goes, and what it costs."""
