"""Networks, losses, optimizers, data, and the loop around one compiled step."""
