B
squeeze_32J>s@