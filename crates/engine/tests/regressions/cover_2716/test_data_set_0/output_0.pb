B
softsign_7JK¹Ž>