"""Seeded clothed people with everything known about them: body, garments, labels, and the scan they would give."""
