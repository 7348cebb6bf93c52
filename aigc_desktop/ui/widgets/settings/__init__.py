"""The Settings page and what opens from it."""
