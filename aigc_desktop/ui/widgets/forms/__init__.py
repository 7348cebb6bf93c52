"""Forms from the fields of a configuration."""
