"""What a search is told by: importances, plots, a table and an HTML report."""
