"""Repeats chapters 4, 6 and 7 of Sutskever (2013), Training Recurrent Neural Networks."""
