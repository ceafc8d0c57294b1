B
squeeze_13J°–:?