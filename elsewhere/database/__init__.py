"""Opens the SQL database of a node or gateway safely, and brings its tables from one version to the next."""
