"""What the API service and the dispatcher service both need."""
