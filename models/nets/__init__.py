"""Networks and layers that several families use."""
