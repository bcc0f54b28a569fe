"""What a domain brings, and what follows from it outside: the rights of the services."""
