"""What a finished run is worth, as one HTML page."""
