"""Who has which lease: KCL's own tables, handing leases off, and whether everybody is alive."""
