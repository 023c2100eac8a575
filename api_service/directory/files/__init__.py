"""Files of clients as people have them: from bytes to what each line says, in stages that know nothing of each other.

`lines` says what comes out at the end, and goes from here to whoever stores it.
"""
