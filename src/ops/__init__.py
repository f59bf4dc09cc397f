"""Operations: one record each, that says everything every other room needs to know."""
