"""Chapter 6 of Sutskever (2013), Training Recurrent Neural Networks, done again."""
