"""Texts: what they show, and what is made of them."""
