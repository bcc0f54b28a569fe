"""Traces: spans of what a service does, sent to a collector of OpenTelemetry's where one is set."""
