"""The daemon that keeps the native destination enabled and republishes what it lost."""
