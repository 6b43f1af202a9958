"""How well a controller does: its losses and errors, beside references, with intervals."""
