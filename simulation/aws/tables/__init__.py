"""DynamoDB: tables, expressions, transactions and PartiQL."""
