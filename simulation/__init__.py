"""A deterministic simulation of Kinfold: real code, AWS in memory, virtual time, and faults drawn from a seed."""
