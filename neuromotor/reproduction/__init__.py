"""Repeats chapter 6 of Sutskever (2013), Training Recurrent Neural Networks (the thesis)."""
