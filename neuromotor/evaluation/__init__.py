"""Losses and errors of controllers, beside those of references and with intervals."""
