"""One file for each thing that can be done with a picture, each ending in OPERATION = Operation(...)."""
