"""What H2O's algorithms can be told, under H2O's own names."""
