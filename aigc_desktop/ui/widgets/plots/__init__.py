"""Curves of numbers that grow."""
