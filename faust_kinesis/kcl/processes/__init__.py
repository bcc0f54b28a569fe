"""Amazon's MultiLangDaemon and the processes around it: configured, started, heard, ended."""
