"""The dialog that edits pictures."""
