"""The page: the product as one function, from a commit to a report."""
