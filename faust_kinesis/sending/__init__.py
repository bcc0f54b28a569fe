"""Records out: a bounded queue of puts, and puts in order."""
