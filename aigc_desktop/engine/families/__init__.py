"""Model families, one file each, found by their constant FAMILY."""
