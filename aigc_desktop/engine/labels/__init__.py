"""What the families that tell of texts share: names and classes of words and texts."""
