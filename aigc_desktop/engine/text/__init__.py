"""What the families that write texts are made of: tokens, data, settings, plans, tasks."""
