// The upstream repository of a mirror through a real sshd.
#include <doctest/doctest.h>
#include <pwd.h>
#include <unistd.h>

#include <csignal>

#include "tests/support/process/opened_upstream.hpp"

using namespace notp;
using cli::Upstream;
using cli::UpstreamTip;

namespace {

// An sshd on loopback for the user of this process, with a host key of its own.
class SshServer {
 public:
  explicit SshServer(const std::filesystem::path& folder)
      : folder_(folder),
        host_key_(SshKey::make(folder / "host-key")),
        client_key_(SshKey::make(folder / "client-key")),
        port_(free_port()) {
    // As root, sshd wants the folder that its package's service makes.
    if (::geteuid() == 0) std::filesystem::create_directories("/run/sshd");
    must(write_file(folder_ / "authorized", client_key_.public_key + "\n", 0600));
    must(write_file(
        folder_ / "sshd_config",
        fmt::format("ListenAddress 127.0.0.1\nPort {}\nHostKey {}\n"
                    "AuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n"
                    "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
                    "PermitRootLogin prohibit-password\n",
                    port_, host_key_.private_file.string(), (folder_ / "authorized").string())));
    process_ = std::make_unique<Process>(
        ProcessOptions{.command = {"/usr/sbin/sshd", "-D", "-e", "-f", folder_ / "sshd_config"},
                       .folder = folder_,
                       .environment = {},
                       .output_file = folder_ / "sshd.log",
                       .error_file = folder_ / "sshd.log"});
    const bool is_up = wait_until(
        [&] { return process_->error().contains("Server listening") || !process_->is_running(); });
    REQUIRE_MESSAGE((is_up && process_->is_running()), process_->error());
  }

  std::string url(const std::filesystem::path& repository) const {
    return fmt::format("ssh://{}@127.0.0.1:{}{}", ::getpwuid(::geteuid())->pw_name, port_,
                       repository.string());
  }
  // A line of a known-hosts file, with this key.
  std::string known_as(const SshKey& key) const {
    return fmt::format("[127.0.0.1]:{} {}\n", port_, key.public_key);
  }
  const SshKey& host_key() const { return host_key_; }
  const SshKey& client_key() const { return client_key_; }
  Process& process() { return *process_; }

 private:
  const std::filesystem::path folder_;
  const SshKey host_key_, client_key_;
  const int port_;
  std::unique_ptr<Process> process_;
};

struct SshUpstream : OpenedUpstream {
  SshServer server{site.repositories()};

  SshUpstream() {
    repository.pushed("a.rego", kPolicy);
    config.ca.clear();
    config.repository = server.url(repository.bare());
    config.ssh_key = server.client_key().private_file;
    config.known_hosts = site.file("known_hosts");
    must(write_file(config.known_hosts, server.known_as(server.host_key())));
  }
  Error refusal() {
    const auto tip = open().look();
    REQUIRE_FALSE(tip);
    return tip.error();
  }
};

}  // namespace

TEST_CASE("ssh: the key and the known host that are configured, and no other") {
  SshUpstream at;
  {
    Upstream upstream = at.open();
    const UpstreamTip tip = fetched(upstream);
    CHECK(paths_of(upstream, tip) == std::vector<std::string>{"a.rego"});
    at.repository.pushed("b.rego", kPolicy);
    CHECK(paths_of(upstream, fetched(upstream)).size() == 2);
  }
  const SshKey other = SshKey::make(at.site.file("other"));
  must(write_file(at.config.known_hosts, at.server.known_as(other)));
  Error error = at.refusal();
  CHECK_MESSAGE(error.code == ErrorCode::kTls, error.message);
  must(write_file(at.config.known_hosts, ""));
  error = at.refusal();
  CHECK_MESSAGE(error.code == ErrorCode::kTls, error.message);
  CHECK(read_text(at.config.known_hosts).empty());  // nobody was asked, nothing was added
  must(write_file(at.config.known_hosts, at.server.known_as(at.server.host_key())));
  at.config.ssh_key = other.private_file;
  error = at.refusal();
  CHECK_MESSAGE(error.code == ErrorCode::kDenied, error.message);
  CHECK_FALSE(error.message.contains("\n"));
  // A key with a passphrase is refused, not asked for.
  at.config.ssh_key = at.server.client_key().private_file;
  REQUIRE(run_command({"ssh-keygen", "-q", "-p", "-P", "", "-N", "passphrase", "-f",
                       at.config.ssh_key.string()})
              .status == 0);
  CHECK(at.refusal().code == ErrorCode::kDenied);
}

TEST_CASE(
    "ssh: an agent and configurations outside do not count, and no path is read as an option") {
  SshUpstream at;
  const auto mark = at.folder.path() / "mark", home = at.folder.path() / "home";
  std::filesystem::create_directories(home / ".ssh");
  must(write_file(home / ".ssh/config",
                  fmt::format("Host *\n  ProxyCommand touch {}\n", mark.string())));
  Environment environment = plain_environment();
  environment["HOME"] = home;
  environment["SSH_AUTH_SOCK"] = home / "agent";
  environment["GIT_SSH_COMMAND"] = "touch " + mark.string();
  {
    Upstream upstream = at.open(environment);
    fetched(upstream);
  }
  CHECK_FALSE(std::filesystem::exists(mark));
  for (const std::string& repository :
       {std::string("-oProxyCommand=x@host:path"), std::string("user@-oProxyCommand=x:path"),
        std::string("user@host:-path"), std::string("ssh://user:secret@host/path"),
        std::string("ssh://-x@host/path"), std::string("ssh://host")}) {
    at.config.repository = repository;
    const auto opened = Upstream::open(at.folder.path(), at.config, environment);
    REQUIRE_FALSE(opened);
    CHECK_MESSAGE(opened.error().code == ErrorCode::kConfig, repository);
  }
  at.config.repository = "user@host:path";
  for (const char* path : {"/a b", "/a%h", "~/a", "/a\"b", "/a'b", "/a$b", "/a\nb"}) {
    at.config.known_hosts = path;
    CHECK(Upstream::open(at.folder.path(), at.config, environment).error().code ==
          ErrorCode::kConfig);
  }
}

TEST_CASE("ssh: a server that says nothing is cut at the deadline, and no ssh is left") {
  SshUpstream at;
  at.config.deadline_ms = 1'500;
  Upstream upstream = at.open();
  at.server.process().signal(SIGSTOP);
  const auto tip = upstream.look();
  CHECK(processes_for(at.folder.path()).empty());
  at.server.process().signal(SIGCONT);
  REQUIRE_FALSE(tip);
  CHECK_MESSAGE(tip.error().code == ErrorCode::kTimeout, tip.error().message);
}
