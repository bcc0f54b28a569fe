"""Provisions and changes tables, stream, shards and destination. Nothing here runs on."""
