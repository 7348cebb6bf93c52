"""The Start page and its tour."""
