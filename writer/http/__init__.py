"""Routes, schemas and answers. Knows no DynamoDB."""
