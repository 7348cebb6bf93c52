"""Models, training, sampling and metrics in torch; never Qt."""
