"""The tables: their shape, their tenancy, and the server they live on."""
