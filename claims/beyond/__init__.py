"""What the literature and we claim beyond the three papers: exact laws, rates, certificates."""
