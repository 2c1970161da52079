"""Content: encode payloads for spans and remove secrets from them."""
