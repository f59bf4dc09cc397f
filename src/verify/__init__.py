"""Whether a gradient is right, and the certificate that says so."""
