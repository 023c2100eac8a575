"""How fast messages may go out, and how fast they do: what dispatchers agree on through the database."""
