// `--service` of `notp setup` and `notp-client enroll`, on a machine of the test's: /etc, /var/lib
// and /run of its own, the users of the units, and a systemctl that starts what they name.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <sstream>

#include "common/storage/files.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

// $1: a folder, $2: the programs, $3: what is typed there, as root.
constexpr const char* kMachine = R"sh(
set -eu
ip link set lo up
mount --make-rprivate /
cp -a /etc "$1/etc" && mount --bind "$1/etc" /etc
mount --bind "$2" /usr/local/bin
mount -t tmpfs tmpfs /var/lib && mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /root
chmod 755 /var/lib /run /root
id=7100
for user in notp-server notp-client; do
  echo "$user:x:$id:$id::/nonexistent:/usr/sbin/nologin" >>/etc/passwd
  echo "$user:x:$id:" >>/etc/group
  id=$((id + 1))
done
mkdir /run/bin && cat >/run/bin/systemctl <<'END'
#!/bin/sh
echo "systemctl $*" >>/run/told
run() { setpriv --reuid "$1" --regid "$1" --clear-groups "$1" --config "$2" >"/run/$1.log" 2>&1 & }
case "$1 $2" in
"start notp-server")
  curl -sf http://127.0.0.1:7449/health >/dev/null && exit 0
  run notp-server /etc/notp/server.yaml
  curl -sf --retry 60 --retry-delay 1 --retry-all-errors http://127.0.0.1:7449/health >/dev/null ;;
"start notp-client") curl -sf http://127.0.0.1:8282/health/live >/dev/null || run notp-client /etc/notp/client.yaml ;;
esac
END
chmod 755 /run/bin/systemctl
export PATH=/run/bin:/usr/local/bin:$PATH HOME=/root NO_COLOR=1
unset XDG_CONFIG_HOME XDG_STATE_HOME XDG_CACHE_HOME NOTP_CONFIG NOTP_BIN || true
cd /root
eval "$3"
)sh";

const std::string kSetup =
    "notp setup --service --trust-domain core-platform.internal --address 127.0.0.1 --yes";
const std::string kWithSystemd = "mkdir -p /run/systemd/system\n";
const std::string kEnroll =
    "notp-client enroll --service --token-file - --ledger 100000000001/access "
    "<core-platform.internal/tokens/edge-1.token";

// Types the lines; nullopt: no right to make such a machine.
std::optional<CommandResult> on_machine(const std::string& lines) {
  const CommandResult may = run_command({"unshare", "--mount", "--net", "--pid", "--fork", "sh",
                                         "-c", "ip link set lo up && mount -t tmpfs tmpfs /root"});
  if (::geteuid() != 0 || may.status != 0) {
    MESSAGE("skipped: no right to mount");
    return std::nullopt;
  }
  const TemporaryFolder folder;
  return run_command({"timeout", "120", "unshare", "--mount", "--net", "--pid", "--fork",
                      "--kill-child", "bash", "-c", kMachine, "-", folder.path().string(),
                      std::getenv("NOTP_BIN"), lines});
}

TEST_CASE("with systemd both commands place files, start the unit, and wait for it") {
  const auto ran = on_machine(kWithSystemd + kSetup + R"(
notp --config core-platform.internal/publisher/notp.yaml publish core-platform.internal/models/access -m "First release"
)" + kEnroll + R"(
curl -s --json '{"input": {"user": {"roles": ["editor"]}, "action": "write"}}' http://127.0.0.1:8282/v1/data/access/allow
echo; cat /run/told
readlink /etc/notp/server.yaml /etc/notp/client.yaml
for daemon in server client; do
  find /var/lib/notp-$daemon ! -user notp-$daemon -printf 'of another user: %p\n'
  grep -rl 'PRIVATE KEY' /var/lib/notp-$daemon | xargs stat -c 'key %U %a %n'
done
stat -c 'kept %U %a %n' core-platform.internal/{offline,publisher,admin,tokens,offline/root.key}
echo AGAIN; )" + kSetup + "\n" +
                              kEnroll);
  if (!ran) return;
  REQUIRE_MESSAGE(ran->status == 0, ran->output);
  const std::string first = ran->output.substr(0, ran->output.find("\nAGAIN\n"));
  const std::string again = ran->output.substr(first.size());
  for (const char* line :
       {"/etc/notp/server.yaml -> /var/lib/notp-server/registry.yaml",
        "notp-server.service is enabled and runs as the user notp-server",
        "notp-client.service is enabled and decides", R"("result":true)",
        "systemctl enable notp-server\nsystemctl start notp-server\nsystemctl enable notp-client\n"
        "systemctl start notp-client\n",
        "\n/var/lib/notp-server/registry.yaml\n/var/lib/notp-client/client.yaml\n",
        "key notp-server 600 /var/lib/notp-server/registry.key",
        "key notp-server 600 /var/lib/notp-server/freshness.key",
        "key notp-server 600 /var/lib/notp-server/node-ca.key",
        "key notp-client 600 /var/lib/notp-client/node.pem",
        "kept root 700 core-platform.internal/offline\n",
        "kept root 700 core-platform.internal/publisher\n",
        "kept root 700 core-platform.internal/tokens\n",
        "kept root 600 core-platform.internal/offline/root.key"})
    CHECK_MESSAGE(first.contains(line), line << " in " << first);
  CHECK_MESSAGE(!first.contains("of another user"), first);
  CHECK_MESSAGE(!again.contains("  made  "), again);
  CHECK_MESSAGE(again.contains("this node has joined already"), again);
  CHECK_MESSAGE(again.contains("notp-client.service is enabled and decides"), again);
}

TEST_CASE("without systemd both commands say what to start") {
  const auto ran = on_machine(kSetup + R"(
/run/bin/systemctl start notp-server
)" + kEnroll);
  if (!ran) return;
  REQUIRE_MESSAGE(ran->status == 0, ran->output);
  for (const char* line : {"setpriv --reuid notp-server --regid notp-server --clear-groups "
                           "notp-server --config /etc/notp/server.yaml",
                           "setpriv --reuid notp-client --regid notp-client --clear-groups "
                           "notp-client --config /etc/notp/client.yaml"})
    CHECK_MESSAGE(ran->output.contains(line), ran->output);
}

TEST_CASE("what is there is not overwritten, and keys do not go where a service could take them") {
  const auto ran = on_machine(R"(
status() { "$@" || echo "status $?"; }
mkdir /etc/notp && echo mine >/etc/notp/server.yaml
status )" + kSetup + R"(
rm /etc/notp/server.yaml
status )" + kSetup + R"( --dir /var/lib/notp-server/inside
install -d -o nobody /var/lib/notp-server
status )" + kSetup + R"( --dir elsewhere
mkdir /var/lib/notp-client && touch /var/lib/notp-client/something
status notp-client enroll --service --token x --ledger 100000000001/access
sed -i /notp-client/d /etc/passwd
status notp-client enroll --service --token x --ledger 100000000001/access
status notp-client enroll --service --dir here --token x
ls /root /etc/notp /var/lib/notp-server)");
  if (!ran) return;
  REQUIRE_MESSAGE(ran->status == 0, ran->output);
  for (const char* said :
       {"/etc/notp/server.yaml is there already", "is in the folder of the service",
        "/var/lib/notp-server has another owner", "chown -R notp-client:notp-client",
        "there is no user notp-client", "status 4", "status 2", "status 8"})
    CHECK_MESSAGE(ran->output.contains(said), said << " in " << ran->output);
  CHECK_FALSE_MESSAGE(ran->output.contains("status 1\n"), ran->output);
}

TEST_CASE("another user than root is told so") {
  std::vector<std::string> command{"timeout", "60"};
  if (::geteuid() == 0)
    command.insert(command.end(), {"setpriv", "--reuid", "65534", "--clear-groups", "--"});
  for (const auto& [program, words] :
       {std::pair<std::string, std::vector<std::string>>{
            "notp", {"setup", "--service", "--trust-domain", "a.internal", "--address", "b"}},
        {"notp-client", {"enroll", "--service", "--token", "x"}}}) {
    std::vector<std::string> whole = command;
    whole.push_back(fs::path(std::getenv("NOTP_BIN")) / program);
    whole.insert(whole.end(), words.begin(), words.end());
    const CommandResult ran = run_command(whole);
    CHECK_MESSAGE(ran.status == 2, ran.output);
    CHECK_MESSAGE(ran.output.contains("run it as root"), ran.output);
  }
}

}  // namespace
}  // namespace notp
