"""What is to be sent, to whom, from when until when."""
