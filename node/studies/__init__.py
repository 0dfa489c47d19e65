"""Studies at a node: what of its data a query may count, what that costs, and the share that leaves."""
