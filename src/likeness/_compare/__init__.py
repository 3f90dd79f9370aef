"""Any number of audits beside each other: one table, one figure."""
