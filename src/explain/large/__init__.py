"""Walk-throughs of large expressions: layers that open, and steps that are made when looked at."""
