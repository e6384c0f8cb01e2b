"""Mail texts, sent and received: MIME parts, character sets, HTML, links, quotes, signatures and footers."""
