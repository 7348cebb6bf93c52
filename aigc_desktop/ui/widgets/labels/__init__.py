"""Labelling of texts, on the Data page."""
