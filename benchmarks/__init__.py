"""Races against peers and quality figures; each module writes benchmarks/results/NAME.json."""
