"""Results, tables and the published page."""
