"""The account: events, money, rules. Knows no table and no network."""
