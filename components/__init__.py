"""Custom elements written in Python."""
