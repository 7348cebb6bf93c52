"""The Data page: bring data in, look at it, freeze it."""
