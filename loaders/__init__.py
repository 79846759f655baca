"""Interchangeable loader modules for Hamilton dataflows."""
