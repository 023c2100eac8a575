"""What one can do over HTTP, by tag."""
