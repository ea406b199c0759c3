"""``python -m claims`` is the command ``conetheory``, also from a checkout that was not installed."""

from claims.cli import main

if __name__ == "__main__":
    main()
