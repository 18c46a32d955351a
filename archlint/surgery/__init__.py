"""Surgery after loading: patches that give PEFT layers where it finds none, and what each of them changes."""
