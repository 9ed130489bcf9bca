"""Question to passages, and passages to an answer."""
