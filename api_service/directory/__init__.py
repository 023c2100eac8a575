"""Who can be reached: clients, and files of them."""
