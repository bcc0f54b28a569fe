"""Who may look, and who may act: signing in with a token, sessions, and proof that a form is the console's own."""
