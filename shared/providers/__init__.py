"""The providers of a deployment: their profiles as files say them, and their secrets."""
