"""Faults put into the code on purpose, one at a time: what the simulation is worth is what it finds of them."""
