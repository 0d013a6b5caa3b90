"""Whole data sets asked, measured, compared and shown."""
