"""What is measured: each module has one function, `measure`, that takes the services and the scale."""
