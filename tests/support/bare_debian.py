"""A bare Debian in a folder, in which packages are installed and programs run. Needs root and debootstrap."""

import shutil

from programs import run, run_to_end

CODENAME = "bookworm"
LONG_S = 1800
ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "HOME": "/root",
               "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def mirror():
    """That of this machine's own apt."""
    lines = run(["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME) $(COMPONENT)", "Created-By: Packages"])
    for line in lines.splitlines():
        if line.split()[1:] == [CODENAME, "main"]:
            return line.split()[0]
    raise RuntimeError(f"apt of this machine has no mirror of {CODENAME}; add one to its sources")


def bootstrap(folder):
    """Nothing but the required packages, and what apt needs to reach the mirror."""
    site = mirror()
    secure = ["--include=ca-certificates"] if site.startswith("https:") else []
    run(["debootstrap", "--variant=minbase", *secure, CODENAME, folder, site], seconds=LONG_S)
    (folder / "etc/apt/apt.conf.d/99answers").write_text('APT::Get::Assume-Yes "true";\n')


class System:
    """A copy of what bootstrap() made."""

    def __init__(self, root, bare, hosts):
        self.root = root
        run(["cp", "-a", bare, root], seconds=LONG_S)
        with open(root / "etc/hosts", "a", encoding="utf-8") as file:
            file.write(f"127.0.0.1 localhost {' '.join(hosts)}\n")

    def inside(self, *command, network=True, statuses=(0,)):
        """What the command prints; with a network of its own when `network` is false. All that it starts ends with it."""
        words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", *([] if network else ["--net"]), "sh", "-c",
                 ("" if network else "ip link set lo up && ") +
                 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"', self.root, *command]
        return run_to_end(words, statuses, seconds=LONG_S, environment=ENVIRONMENT).stdout

    def apt(self, *words):
        return self.inside("apt-get", "-qqy", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", *words)

    def user(self, name):
        """Its number."""
        return int(self.inside("id", "-u", name))

    def unit(self, name):
        """The settings of [Service] in the installed unit."""
        text = (self.root / f"usr/lib/systemd/system/{name}.service").read_text()
        lines = text.partition("[Service]\n")[2].partition("\n[")[0].splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))

    def command_of(self, name):
        """What systemd would run for the unit, as its user, as a line for a shell."""
        unit = self.unit(name)
        return (f"umask {unit['UMask']}; exec setpriv --reuid {unit['User']} --regid {unit['Group']} --clear-groups -- "
                f"env -i PATH=/usr/bin:/bin {unit['ExecStart']}")


class Repository(System):
    """One whose apt knows packages of a folder, and whose systemctl writes down what it is told."""

    def __init__(self, root, bare, hosts):
        super().__init__(root, bare, hosts)
        (root / "packages").mkdir()
        (root / "etc/apt/sources.list.d/packages.list").write_text("deb [trusted=yes] file:/packages ./\n")
        (root / "usr/bin/systemctl").write_text('#!/bin/sh\necho "$*" >>/tmp/systemctl\n')
        (root / "usr/bin/systemctl").chmod(0o755)

    def offer(self, folder):
        for package in folder.glob("*deb"):
            shutil.copy(package, self.root / "packages")
        index = run(["dpkg-scanpackages", "-m", "."], folder=self.root / "packages")
        (self.root / "packages/Packages").write_text(index)
        self.apt("update")

    def told_systemctl(self):
        log = self.root / "tmp/systemctl"
        text = log.read_text() if log.exists() else ""
        log.unlink(missing_ok=True)
        return text
