"""The language of the service: states, jobs, policies, times. Pure: nothing here does I/O or asks what time it is."""
