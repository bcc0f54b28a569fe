"""A process's plumbing: settings, access, AWS clients, logs, sockets."""
