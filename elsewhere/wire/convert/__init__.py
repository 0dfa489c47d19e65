"""Conversions between generated messages and checked values, one module per service."""
