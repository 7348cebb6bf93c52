"""Walks through what a trained model can make: maps, directions, own pictures put into it."""
