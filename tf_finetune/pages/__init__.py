"""What self-contained HTML pages are made of: words, drawings and the page itself."""
