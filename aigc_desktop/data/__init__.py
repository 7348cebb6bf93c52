"""Import, check, label, split and freeze the user's pictures and texts; neither torch nor Qt."""
