"""neuromotor: a toolkit for motor neuroscience."""
