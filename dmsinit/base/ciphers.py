"""Lists of TLS ciphers (openssl-ciphers(1)): asked of the library that the daemons use, too."""


def problem(text: str) -> str:
    """Return why no handshake could work with the list `text`, or "" (also for an empty one: the default)."""
    if not text:
        return ""
    import ssl  # loading it takes 20 ms, and few set such a list

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(text)
    except (ssl.SSLError, ValueError):
        return f"OpenSSL knows no cipher of {text}, so TLS would not work"
    return ""
