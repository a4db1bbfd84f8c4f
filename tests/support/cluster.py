"""The Kubernetes bases of tools/packaging/kubernetes as kustomize builds them, and the schemas of Kubernetes' API.

What PyPI has is taken once, by pip, into the cache (NOTP_CACHE), in the version below; kustomize is what
tools/build-kustomize builds.
"""

import functools
import pathlib
import re
import sys
import tempfile

from programs import SOURCE, run
from public_site import cache

PYPI = {"kubernetes-validate": "1.37.0"}
BASES = SOURCE / "tools/packaging/kubernetes"
MANUAL = SOURCE / "tools/packaging/README.md"
# The oldest that the bases are for, and the newest that the schemas know.
VERSIONS = ("1.29", "1.37")


@functools.cache
def packages():
    """The folder of the Python packages; it is on the path afterwards."""
    place = cache("kubernetes")
    folder = place / "-".join(f"{name}-{version}" for name, version in PYPI.items())
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=place) as new:
            pins = [f"{name}=={version}" for name, version in PYPI.items()]
            run([sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--only-binary", ":all:",
                 "--target", pathlib.Path(new, "new"), *pins], seconds=300)
            pathlib.Path(new, "new").rename(folder)
    sys.path.insert(0, str(folder))
    return folder


def parsed(text):
    """The documents of a YAML text."""
    packages()
    import yaml
    return [one for one in yaml.safe_load_all(text) if one is not None]


def schema_findings(document, version):
    """What the API of this version would not take; None for a kind that is not its own."""
    packages()
    import kubernetes_validate as validator
    try:
        validator.validate(document, version, strict=True)
    except validator.SchemaNotFoundError:
        return None
    except validator.ValidationError as error:
        return f"{'.'.join(str(part) for part in error.path)}: {error.message}"
    return ""


@functools.cache
def kustomize():
    return run([SOURCE / "tools/build-kustomize"], seconds=600).strip().splitlines()[-1]


def built(folder):
    """The resources of a kustomization."""
    return parsed(run([kustomize(), "build", folder]))


def block_with(words):
    """The block of the manual, without its indent, that has these words."""
    blocks, block = [], []
    for line in [*MANUAL.read_text(encoding="utf-8").splitlines(), "end"]:
        if line.startswith("    "):
            block.append(line[4:])
        elif block:
            blocks.append("\n".join(block) + "\n")
            block = []
    found = [one for one in blocks if words in one]
    if len(found) != 1:
        raise RuntimeError(f"{MANUAL} has {len(found)} blocks with '{words}'")
    return found[0]


def secrets():
    """Secret -> the files, or the folder, that the manual's command makes it of."""
    commands = re.findall(r"create secret generic (\S+)((?: --from-file=\S+)+)", MANUAL.read_text(encoding="utf-8"))
    return {name: re.findall(r"--from-file=(\S+)", files) for name, files in commands}
