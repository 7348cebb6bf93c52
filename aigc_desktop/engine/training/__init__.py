"""The shared training core: settings, loop, optimizers, checkpoints; what every trained family uses."""
