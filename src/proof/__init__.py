"""The judges of a derivative: sympy, 50 digits, fingerprints modulo primes, differences."""
