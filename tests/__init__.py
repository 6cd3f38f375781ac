"""clusterd's tests."""
