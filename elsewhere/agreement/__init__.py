"""The sharing agreement: its words, its terms as checked values, and the decision taken from them."""
