"""What runs inside a scoring Job - assignment, challenges, runner, report."""
