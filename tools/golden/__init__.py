"""Fixture checks of tools/check_golden.py, one module a kind of fixture folder."""
