"""The daemon that looks after the native destination and puts on the stream what it lost."""
