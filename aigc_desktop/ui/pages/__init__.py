"""Pages, one file each, found by their constant PAGE."""
