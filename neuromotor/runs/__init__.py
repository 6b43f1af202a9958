"""Runs: settings, the folder that a run fills, and what is read back from it."""
