B
flatten_12Jfœt¿