"""Figures of a trained model against real data, as a report."""
