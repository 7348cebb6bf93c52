"""File formats and labels for generated content; neither torch nor Qt."""
