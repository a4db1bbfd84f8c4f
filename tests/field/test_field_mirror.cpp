// Somebody tries the mirror by tools/examples/mirror/README.md, in a trust domain of `notp setup`.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <csignal>
#include <memory>

#include "common/storage/files.hpp"
#include "tests/support/process/curl.hpp"
#include "tests/support/process/documented_commands.hpp"
#include "tests/support/process/git_site.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/results.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

const std::string kAccess = "100000000001/access";

class Newcomer {
  const TemporaryFolder folder_;  // outlives the processes

 public:
  GitSite site;
  GitUpstream repository = site.make("policies");

  Newcomer() : typist_(folder_.path(), folder_.path() / "home") {
    must(make_folders(folder_.path() / "home/.ssh"));
    typist_.substitute("--address registry.core-platform.internal",
                       fmt::format("--address 127.0.0.1 --listen 127.0.0.1 --port {} "
                                   "--enroll-port {} --health-port {}",
                                   port_, free_port(), free_port()));
    typist_.typed(setup_page("## Setting up a trust domain").at(0));
    typist_.typed(setup_page("### Who keeps what").at(0));  // cd
    blocks_ = documented_blocks(example() / "README.md", "## Trying it");
    REQUIRE(blocks_.size() == 7);
    fs::copy_file(example() / "allowed-signers", file("allowed-signers"));
    copy_configuration();
    fs::copy(example() / "repository", repository.work(), fs::copy_options::recursive);
    repository.run({"config", "user.name", "Ana"});
    repository.run({"config", "user.email", "ana@core-platform.internal"});
    repository.commit("Their policies");
    ana = SshKey::make(folder_.path() / "home/.ssh/id_ed25519");
  }

  fs::path file(const std::string& name) const {
    return folder_.path() / "core-platform.internal" / name;
  }
  // A block of the page, in the folder of the domain, with `more` at its end.
  std::string type(size_t block, const std::string& more = "") {
    std::string text = blocks_.at(block);
    return typist_.typed(text.insert(text.find_last_not_of('\n') + 1, more));
  }
  std::string type_in_repository(size_t block) {
    return Typist(repository.work(), folder_.path() / "home").typed(blocks_.at(block));
  }
  // The line of a block, which keeps running.
  std::unique_ptr<Process> start(const std::string& line, const std::string& log) const {
    return std::make_unique<Process>(typist_.start(line, file(log)));
  }
  std::string line(size_t block, size_t at) const { return lines_of(blocks_.at(block)).at(at); }
  Typist& typist() { return typist_; }

  void start_registry() {
    registry_ = start("notp-server --config registry/registry.yaml", "registry.log");
    REQUIRE(wait_until([&] { return logged("serving") || !registry_->is_running(); }));
    REQUIRE_MESSAGE(registry_->is_running(), registry_->error());
  }
  void reload_registry() {
    registry_->signal(SIGHUP);
    REQUIRE(wait_until([&] { return logged("rights_reloaded"); }));
  }
  int64_t head_version() {
    const CommandResult shown =
        typist_.type("notp -o json --config publisher/notp.yaml history " + kAccess);
    if (shown.status != 0) return 0;
    return number_at(must(parse_json(shown.output)).at("releases").as_array().at(0), "version");
  }
  json::value mirror() const {
    const json::value health =
        curl({fmt::format("http://127.0.0.1:{}/health", health_)}).document();
    return health.is_object() ? health.at("mirrors").as_array().at(0) : json::value();
  }
  std::string state() const { return mirror().is_object() ? text_at(mirror(), "state") : ""; }

  SshKey ana;

 private:
  static fs::path source() { return std::getenv("NOTP_SOURCE"); }
  static fs::path example() { return source() / "tools/examples/mirror"; }
  static std::vector<std::string> setup_page(std::string_view heading) {
    return documented_blocks(source() / "tools/packaging/README.md", heading);
  }
  // Only hosts and ports are other ones here.
  void copy_configuration() const {
    std::string text = read_text(example() / "mirror.yaml");
    const auto replace = [&](const std::string& from, const std::string& to) {
      const size_t at = text.find(from);
      REQUIRE_MESSAGE(at != text.npos, from);
      text.replace(at, from.size(), to);
    };
    replace("registry.core-platform.internal:7443", fmt::format("127.0.0.1:{}", port_));
    replace("127.0.0.1:7453", fmt::format("127.0.0.1:{}", health_));
    replace("{secret_file", fmt::format("{{listen: \"127.0.0.1:{}\", secret_file", free_port()));
    replace("https://git.core-platform.internal/identity/policies.git",
            fmt::format("{}\n    ca: {}", site.url("policies"), site.authorities().string()));
    must(write_file(file("mirror.yaml"), text));
  }
  bool logged(std::string_view event) const {
    for (const json::value& line : log_lines(file("registry.log")))
      if (text_at(line, "event") == event) return true;
    return false;
  }

  const int port_ = free_port(), health_ = free_port();
  Typist typist_;
  std::vector<std::string> blocks_;
  std::unique_ptr<Process> registry_;
};

TEST_CASE("the page of the example leads to releases of signed commits, and to one that is held") {
  Newcomer newcomer;
  newcomer.start_registry();
  newcomer.type(0);  // an identity and a key
  newcomer.type(1);  // a right
  newcomer.reload_registry();
  newcomer.repository.write("access/access/data.json",
                            R"({"roles": {"editor": ["read", "write", "delete"]}})");
  newcomer.type_in_repository(2);
  newcomer.repository.push();
  newcomer.type(4);  // the secret
  // Nobody has said yet that the committer's key counts.
  const std::string check = newcomer.line(5, 0), run = newcomer.line(5, 1);
  const CommandResult unknown = newcomer.typist().type(check);
  CHECK(unknown.status == 7);
  CHECK_MESSAGE(unknown.output.contains("not in allowed_signers"), unknown.output);
  newcomer.type(3);
  const std::string good = newcomer.typist().typed(check);
  CHECK_MESSAGE(good.contains("signed by ana@core-platform.internal"), good);
  CHECK(newcomer.head_version() == 0);

  const auto daemon = newcomer.start(run, "mirror.log");
  REQUIRE_MESSAGE(wait_until([&] { return newcomer.state() == "current"; }), daemon->error());
  CHECK(newcomer.head_version() == 1);
  daemon->signal(SIGTERM);
  CHECK(daemon->wait() == 0);

  newcomer.repository.run({"commit", "-q", "--amend", "-S", "-m", "Written anew"});
  newcomer.repository.push();
  const auto again = newcomer.start(run, "mirror.log");
  REQUIRE_MESSAGE(wait_until([&] { return newcomer.state() == "held"; }), again->error());
  const std::string shown = newcomer.type(6, " --yes");
  CHECK_MESSAGE(shown.contains("was rewritten"), shown);
  CHECK_MESSAGE(shown.contains("v2"), shown);
  CHECK(newcomer.head_version() == 2);
}

}  // namespace
}  // namespace notp
