"""What predictors are made of, to build more of them."""
