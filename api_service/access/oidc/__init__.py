"""Signing in at an identity provider by OpenID Connect: the code flow with PKCE, and what comes back from it."""
