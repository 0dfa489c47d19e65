"""The agency's own records: read from its export, checked, grouped by child, tagged and looked up."""
