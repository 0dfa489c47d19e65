"""How well match keys find a child and leave others alone, on data sets of several kinds."""
