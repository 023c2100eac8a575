"""What builds, starts and describes a deployment."""
