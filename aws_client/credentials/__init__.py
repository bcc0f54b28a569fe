"""A role's credentials: found at the first request, and waited for while their source fails."""
