"""Comparing answers and scoring miners. Pure - numpy only."""
