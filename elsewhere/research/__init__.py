"""What researchers may ask: the dictionary, questions over it, and what their answers mean."""
