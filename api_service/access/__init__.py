"""Who may use the API: its keys."""
