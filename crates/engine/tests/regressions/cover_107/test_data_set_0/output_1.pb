B
dropout_16JŸ·Þ?