"""The sample wall: what a training makes, step by step."""
