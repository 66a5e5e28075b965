"""How an endpoint is made. A new kind of endpoint is one module here."""
