"""The server's certificate: where SSL_TYPE finds it, and what it says about itself."""
