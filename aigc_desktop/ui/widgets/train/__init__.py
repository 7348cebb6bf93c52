"""The Train page: before a training, while it runs, and runs beside each other."""
