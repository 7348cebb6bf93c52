"""Widgets: those that all pages use lie here, those of a page or a purpose in rooms of their own."""
