"""Training: one optimizer on one task, several side by side, or one over several processes."""
