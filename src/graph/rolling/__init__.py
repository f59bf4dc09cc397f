"""What `roll` is made of: addresses, lanes, contractions, and the check of what it made."""
