"""What to do, decided without doing it: pure functions from values to a plan."""
