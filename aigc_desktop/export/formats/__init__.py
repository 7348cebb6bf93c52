"""File formats, one file each, found by their constant FORMAT."""
