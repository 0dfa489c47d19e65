"""Answering other agencies: policy before data, data before the log, the log before the answer."""
