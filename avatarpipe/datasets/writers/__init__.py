"""The raw formats of the datasets, written: demo data, and the other half of every converter's round-trip test."""
