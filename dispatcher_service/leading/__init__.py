"""What one dispatcher does for all: launches mailings, feeds the broker, and does the chores."""
