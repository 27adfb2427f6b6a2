"""Which of what an image holds is known to be vulnerable: OSV entries, orders, matches, reports."""
