"""Pages for people who do not program, at /console/: the same actions and scopes as the API has, without a second way
to do anything."""
