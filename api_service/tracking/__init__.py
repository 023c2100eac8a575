"""Where the messages stand."""
