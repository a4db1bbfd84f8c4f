// A new user sets up and operates a trust domain by tools/packaging/README.md: a registry, two
// nodes, rotation of everything that can be rotated, a backup, a restore, and the recovery when the
// copy is older than the nodes' releases. Every command is from the page.
#include <doctest/doctest.h>

#include <csignal>
#include <fstream>

#include "common/storage/files.hpp"
#include "tests/support/process/curl.hpp"
#include "tests/support/process/documented_commands.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

const std::string kAccess = "100000000001/access";

// An agent started in a terminal.
struct Node {
  std::string name;
  int port = free_port();
  fs::path log;
  std::unique_ptr<Process> process = nullptr;

  std::string url(const std::string& path) const {
    return fmt::format("http://127.0.0.1:{}{}", port, path);
  }
  json::value status() const { return curl({url("/v1/status")}).document(); }
  size_t alarms(std::string_view code) const {
    size_t found = 0;
    for (const json::value& line : log_lines(log))
      found += text_at(line, "event") == "alarm" && text_at(line, "code") == code;
    return found;
  }
  // Asks whether the role may write.
  json::value decides(const std::string& role) const {
    const json::object input{{"user", {{"roles", json::array{role}}}}, {"action", "write"}};
    return at(curl({"--json", json::serialize(json::object{{"input", input}}),
                    url("/v1/data/access/allow")})
                  .document(),
              "result");
  }
};

// One machine for the registry, the publisher and the nodes, with the page's commands.
class Newcomer {
  const TemporaryFolder folder_;  // outlives the processes

 public:
  Newcomer() : typist_(work(), folder_.path() / "home") {
    must(make_folders(work()));
    must(make_folders(folder_.path() / "home"));
    for (Node* node : {&edge_1, &edge_2}) node->log = folder_.path() / (node->name + ".log");
    typist_.substitute("--address registry.core-platform.internal",
                       fmt::format("--address 127.0.0.1 --listen 127.0.0.1 --port {} "
                                   "--enroll-port {} --health-port {}",
                                   free_port(), free_port(), health_port_));
    typist_.substitute("http://127.0.0.1:8282", fmt::format("http://127.0.0.1:{}", edge_1.port));
  }

  std::vector<std::string> page(std::string_view heading) const {
    return documented_blocks(fs::path(std::getenv("NOTP_SOURCE")) / "tools/packaging/README.md",
                             heading);
  }
  fs::path work() const { return folder_.path() / "work"; }
  fs::path file(std::string_view name) const { return work() / "core-platform.internal" / name; }
  Typist& typist() { return typist_; }
  std::string type(const std::string& block) { return typist_.typed(block); }

  void start_registry() {
    const size_t before = logged("serving");
    const Typist from_the_top(work(), folder_.path() / "home");
    registry_ = std::make_unique<Process>(
        from_the_top.start(page("## Setting up a trust domain").at(1), registry_log()));
    REQUIRE_MESSAGE(
        wait_until([&] { return logged("serving") > before || !registry_->is_running(); }),
        registry_->error());
    REQUIRE_MESSAGE(registry_->is_running(), registry_->error());
  }
  void stop_registry() {
    registry_->signal(SIGTERM);
    REQUIRE(registry_->wait() == 0);
    registry_.reset();
  }
  fs::path registry_log() const { return folder_.path() / "registry.log"; }
  size_t logged(std::string_view event, std::string_view code = {}) const {
    size_t found = 0;
    for (const json::value& line : log_lines(registry_log()))
      found += text_at(line, "event") == event && (code.empty() || text_at(line, "code") == code);
    return found;
  }
  json::value health() const {
    return curl({fmt::format("http://127.0.0.1:{}/health", health_port_)}).document();
  }

  // The page's command for edge-1, with the node's name.
  void start_node(Node& node) {
    std::string block = page("## Setting up a trust domain").at(3);
    for (size_t found = 0; (found = block.find("edge-1", found)) != block.npos; found += 6)
      block.replace(found, 6, node.name);
    node.process = std::make_unique<Process>(
        Typist(work(), folder_.path() / "home")
            .start(block, node.log,
                   {{"NOTP_CLIENT_LISTEN", fmt::format("127.0.0.1:{}", node.port)},
                    {"NOTP_CLIENT_BACKOFF_FIRST_MS", "20"},
                    {"NOTP_CLIENT_BACKOFF_MAX_MS", "500"}}));
    REQUIRE_MESSAGE(wait_until([&] {
                      return curl({node.url("/health/ready")}).status == 200 ||
                             !node.process->is_running();
                    }),
                    node.process->error());
    REQUIRE_MESSAGE(node.process->is_running(), node.process->error());
  }

  json::value notp(const std::string& folder, const std::string& arguments) {
    const std::string text = type(
        fmt::format("notp -o json --config '{}/notp.yaml' {}", file(folder).string(), arguments));
    auto document = parse_json(text);
    REQUIRE_MESSAGE(document, text);
    return *std::move(document);
  }
  // `notp nodes`: the row of a node for the ledger.
  json::value row(const Node& node) {
    const json::value nodes = notp("admin", "nodes");
    for (const json::value& one : at(nodes, "nodes").as_array())
      if (text_at(one, "node").ends_with("/" + node.name))
        for (const json::value& ledger : at(one, "ledgers").as_array())
          if (text_at(ledger, "ledger") == kAccess) return ledger;
    return {};
  }
  // It decides with the head, and reports no error.
  bool is_content(const Node& node, int64_t version) {
    const json::value ledger = row(node);
    return number_at(ledger, "active_version") == version && at(ledger, "error").is_null() &&
           text_at(ledger, "freshness") == "fresh" &&
           number_at(node.status(), "root_version") == number_at(health(), "root_version");
  }
  void both_are_content(int64_t version) {
    for (const Node* node : {&edge_1, &edge_2})
      REQUIRE_MESSAGE(wait_until([&] { return is_content(*node, version); }),
                      json::serialize(row(*node)) << read_text(node->log));
  }
  // Publishes a model in which this role may write.
  int64_t publish_role(const std::string& role) {
    must(write_file(
        file("models/access/access/data.json"),
        fmt::format(R"({{"permissions": {{"viewer": ["read"], "{}": ["read", "write"]}}}})",
                    role)));
    return number_at(notp("publisher", fmt::format("publish '{}' -m '{} may write'",
                                                   file("models/access").string(), role)),
                     "version");
  }

  Node edge_1{.name = "edge-1", .log = {}}, edge_2{.name = "edge-2", .log = {}};

 private:
  const int health_port_ = free_port();
  Typist typist_;
  std::unique_ptr<Process> registry_;
};

// Finds the token in a command's output.
std::string token_in(const std::string& text) {
  const size_t first = text.find("notp-join-1.");
  REQUIRE_MESSAGE(first != text.npos, text);
  return text.substr(first, text.find_first_of(" \n", first) - first);
}

// Continues until two nodes decide.
void set_up(Newcomer& newcomer) {
  const std::vector<std::string> blocks = newcomer.page("## Setting up a trust domain");
  REQUIRE(blocks.size() == 5);
  const std::string made = newcomer.type(blocks[0]);
  CHECK_MESSAGE(made.contains("Keep offline"), made);
  // The files kept offline are not needed from here on.
  fs::rename(newcomer.file("offline"), newcomer.work() / "offline");
  newcomer.start_registry();
  CHECK(newcomer.type(blocks[2]).contains("v1"));
  fs::copy_file(newcomer.file("tokens/edge-1.token"), newcomer.work() / "edge-1.token");
  newcomer.start_node(newcomer.edge_1);
  const std::string decision = newcomer.type(blocks[4]);
  CHECK_MESSAGE(decision.contains(R"("result":true)"), decision);

  newcomer.type(newcomer.page("### Who keeps what").at(0));
  CHECK(newcomer.typist().folder() == fs::canonical(newcomer.file(".")));
  const std::vector<std::string> second = newcomer.page("### A second node");
  REQUIRE(second.size() == 2);
  must(write_file(newcomer.work() / "edge-2.token", token_in(newcomer.type(second[0])), 0600));
  newcomer.start_node(newcomer.edge_2);
  newcomer.both_are_content(1);
  const std::string nodes = newcomer.type(second[1]);
  for (const char* name : {"node/edge-1", "node/edge-2"})
    CHECK_MESSAGE(nodes.contains(name), nodes);
}

void rotate(Newcomer& newcomer) {
  fs::rename(newcomer.work() / "offline", newcomer.file("offline"));
  const std::vector<std::string> blocks = newcomer.page("## Rotation");
  REQUIRE(blocks.size() == 4);
  newcomer.type(blocks[0]);  // the root
  newcomer.both_are_content(1);
  CHECK(number_at(newcomer.health(), "root_version") == 2);
  newcomer.type(blocks[1]);  // a publisher's key
  newcomer.both_are_content(2);
  newcomer.type(blocks[2]);  // the freshness key
  REQUIRE(wait_until([&] { return text_at(newcomer.health(), "freshness_key") == "signing"; }));
  CHECK(number_at(newcomer.health(), "root_version") == 4);
  newcomer.both_are_content(2);
  const size_t before = newcomer.logged("certificates_reloaded");
  newcomer.type(blocks[3]);  // the registry's certificate
  REQUIRE(wait_until([&] { return newcomer.logged("certificates_reloaded") > before; }));
  newcomer.both_are_content(2);
}

void restore(Newcomer& newcomer) {
  newcomer.stop_registry();
  fs::remove_all(newcomer.file("registry/data.old"));  // of the restore before
  newcomer.type(newcomer.page("## Restore").at(0));
  newcomer.start_registry();
}

// A folder that was put back by other means than a restore has no mark.
void put_back(Newcomer& newcomer) {
  newcomer.stop_registry();
  fs::remove_all(newcomer.file("registry/data.old"));
  newcomer.type(newcomer.page("## Restore").at(0));
  REQUIRE(fs::remove(newcomer.file("registry/data/restored.json")));
  newcomer.start_registry();
}

// The registry says what it lacks, nothing can be published over it, and decisions continue.
void lacks_releases(Newcomer& newcomer, size_t logged_before) {
  REQUIRE(wait_until([&] { return newcomer.logged("ledger_lost") > logged_before; }));
  CHECK(text_at(newcomer.health(), "status") == "lost");
  for (const Node* node : {&newcomer.edge_1, &newcomer.edge_2}) {
    CHECK(node->alarms("equivocation") == 0);
    CHECK(node->decides("late") == json::value(true));
  }
  CHECK(newcomer.logged("session_refused", "rollback") == 0);
  const CommandResult publish = newcomer.typist().type(
      "notp --config publisher/notp.yaml publish models/access -m 'Over it'");
  CHECK(publish.status == 7);
  CHECK_MESSAGE(publish.output.contains("notp root set-epoch"), publish.output);
}

TEST_CASE("from the page to two nodes, through rotation, backup, restore and all ways out") {
  Newcomer newcomer;
  set_up(newcomer);
  rotate(newcomer);

  newcomer.type(newcomer.page("## Backup").at(0));
  CHECK(fs::status(newcomer.work() / "backup").permissions() == fs::perms::owner_all);

  // Lost with the registry's disk, except for a clone.
  CHECK(newcomer.publish_role("not yet late") == 3);
  CHECK(newcomer.publish_role("late") == 4);
  newcomer.both_are_content(4);
  newcomer.type(
      "git clone -q --mirror registry/data/ledgers/100000000001/access.git "
      "../mirror/100000000001/access.git");
  restore(newcomer);
  lacks_releases(newcomer, 0);
  std::string recover = newcomer.page("## Restore").at(1);
  recover.insert(recover.find_last_not_of('\n') + 1, " --yes");  // no person is there to ask
  // Both nodes are back.
  REQUIRE(wait_until([&] { return newcomer.typist().type(recover).status == 0; }));
  newcomer.both_are_content(4);
  CHECK(text_at(newcomer.health(), "status") == "ok");

  size_t before = newcomer.logged("ledger_lost");
  put_back(newcomer);
  lacks_releases(newcomer, before);
  const std::vector<std::string> ways = newcomer.page("## An older copy, or an attack");
  REQUIRE(ways.size() == 2);
  newcomer.stop_registry();
  newcomer.type(ways[0]);
  newcomer.start_registry();
  newcomer.both_are_content(4);
  CHECK(newcomer.edge_1.decides("late") == json::value(true));

  // The same without a clone.
  before = newcomer.logged("ledger_lost");
  put_back(newcomer);
  lacks_releases(newcomer, before);
  newcomer.type(ways[1]);
  newcomer.both_are_content(3);
  for (const Node* node : {&newcomer.edge_1, &newcomer.edge_2})
    CHECK(node->decides("late") == json::value(true));
  // The earlier v4 is not taken for one of the new epoch, although this machine has seen it.
  const CommandResult old =
      newcomer.typist().type("notp --config publisher/notp.yaml show 100000000001/access@v4");
  CHECK_MESSAGE(old.status == 8, old.output);
  // Later publishes work as usual.
  CHECK(newcomer.publish_role("later") == 4);
  newcomer.both_are_content(4);
  CHECK(newcomer.edge_2.decides("later") == json::value(true));
}

TEST_CASE(
    "a restored registry knows its nodes, and what was used of it since works no second time") {
  Newcomer newcomer;
  set_up(newcomer);
  const std::string token =
      token_in(newcomer.type("notp --config admin/notp.yaml node enroll edge-3"));
  must(write_file(newcomer.work() / "edge-3.token", token, 0600));
  newcomer.type(newcomer.page("## Backup").at(0));
  const std::string join =
      "notp-client enroll --token-file ../edge-3.token --ledger " + kAccess + " --dir ../";
  newcomer.type(join + "edge-3");
  newcomer.edge_2.process.reset();

  restore(newcomer);
  CHECK(number_at(newcomer.row(newcomer.edge_2), "active_version") == 1);
  const CommandResult again = newcomer.typist().type(join + "thief");
  CHECK(again.status != 0);
  CHECK_MESSAGE(again.output.contains("join"), again.output);
  CHECK_FALSE(fs::exists(newcomer.work() / "thief/node.pem"));
  // A new token is accepted.
  must(write_file(newcomer.work() / "edge-3.token",
                  token_in(newcomer.type("notp --config admin/notp.yaml node enroll edge-4")),
                  0600));
  newcomer.type(join + "edge-4");
}

}  // namespace
}  // namespace notp
