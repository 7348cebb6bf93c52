"""Killing the window or the engine during training loses nothing; 30 kills are in benchmarks/crash.py."""

from benchmarks.crash import survive


def test_a_killed_training_goes_on_bit_for_bit(tmp_path):
    outcome = survive(tmp_path, kills=3, steps=500)
    assert outcome.kills >= 2
    assert outcome.same_losses and outcome.same_weights
    assert outcome.orphans == 0
