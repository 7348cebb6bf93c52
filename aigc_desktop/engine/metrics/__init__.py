"""Measures of what a generator makes, computed from real data only."""
