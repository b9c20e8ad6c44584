"""`python -m gradlens`."""

from gradlens.cli.app import main

if __name__ == "__main__":
    main()
