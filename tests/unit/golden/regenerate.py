"""`python -m tests.unit.golden.regenerate`: write every `expected.yaml` anew, to be read before it is committed."""

from tests.unit.golden.cases import documents

if __name__ == "__main__":
    for case, path, text in documents():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"changed: {case}")
