"""What concerns archlint's own work."""
