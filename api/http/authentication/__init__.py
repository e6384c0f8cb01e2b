"""Authentication: which user an API key or a token of the OpenID Connect issuer belongs to."""
