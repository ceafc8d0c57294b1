B
sigmoid_13J AB=