"""The window, in PySide6; never torch, never the engine."""
