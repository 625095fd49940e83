"""Contract suites for spaces, predictors, strategies and evaluators; third parties may use them."""
