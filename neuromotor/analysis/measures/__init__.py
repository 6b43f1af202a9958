"""Measures of movements from plain arrays, of any recording, simulation or data of your own."""
