// Peers that cause endless work at the registry, within their rights: operators' commands and other
// peers' requests do not wait for it.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "protocol/wire/frame.hpp"
#include "tests/support/process/others.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"
#include "tests/support/wire/tls_client.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

Hash hash_at(const json::value& row, std::string_view name) {
  Hash out;
  const auto bytes = from_hex(text_at(row, name));
  REQUIRE(bytes);
  REQUIRE(bytes->size() == Hash::kSize);
  std::copy(bytes->begin(), bytes->end(), reinterpret_cast<char*>(out.bytes.data()));
  return out;
}

// A policy worker that does not start checking while a file exists.
class HeldWorker {
 public:
  explicit HeldWorker(const Stack& stack) : gate_(stack.file("gate")), pipe_(stack.file("pipe")) {
    REQUIRE(::mkfifo(pipe_.c_str(), 0600) == 0);
    must(write_file(program(),
                    fmt::format("#!/bin/sh\n[ ! -e '{0}' ] || {{ : > '{0}.held'; read line < "
                                "'{1}'; }}\nexec '{2}' \"$@\"\n",
                                gate_.string(), pipe_.string(), stack.program("notp-pdp")),
                    0700));
  }
  ~HeldWorker() { open(); }

  fs::path program() const { return fs::path(gate_).replace_filename("held-pdp"); }
  bool holds_one() const { return fs::exists(gate_.string() + ".held"); }
  void close() { must(write_file(gate_, "")); }
  // Releases the waiting workers; later ones do not wait.
  void open() {
    std::error_code none;
    if (!fs::remove(gate_, none)) return;
    // Opened for both directions, so that it does not wait for a reader.
    const int pipe = ::open(pipe_.c_str(), O_RDWR | O_CLOEXEC);
    static_cast<void>(::write(pipe, "1\n2\n3\n4\n", 8));
    held_ = pipe;
  }

 private:
  const fs::path gate_, pipe_;
  int held_ = -1;  // open as long as a reader may exist
};

TEST_CASE("while models are judged without an end, orders and questions are answered") {
  Stack stack;
  HeldWorker worker(stack);
  stack.registry_more["validation"] =
      json::object{{"worker", worker.program().string()}, {"at_once", 1}};
  stack.allow_joins();
  stack.write_registry_config();
  stack.start_registry();
  REQUIRE(stack.published(stack.copy_example("payments"), kPayments) == 1);
  // No worker that has started already is left.
  stack.stop_registry();
  stack.start_registry();

  worker.close();
  const fs::path gateway = stack.copy_example("api-gateway");
  Process judged =
      stack.start_notp("bob", {"publish", gateway, "--ledger", kGateway, "-m", "x"}, "judged");
  REQUIRE(wait_until([&] { return worker.holds_one(); }));
  Others{stack}.are_served();
  // It was running all the time.
  CHECK(judged.is_running());
  CHECK(stack.count_events("published") == 1);
  worker.open();
  CHECK_MESSAGE(judged.wait() == 0, judged.error());
}

TEST_CASE("while a node wants everything that can be made, orders and questions are answered") {
  constexpr uint64_t kVersions = 9;
  Stack stack;
  stack.allow_joins();
  stack.write_registry_config();
  stack.start_registry();
  const fs::path payments = stack.copy_example("payments");
  for (uint64_t version = 1; version <= kVersions; ++version) {
    set_single_approval_max(payments, static_cast<int64_t>(10'000 * version));
    REQUIRE(stack.published(payments, kPayments) == static_cast<int64_t>(version));
  }
  const CliResult history = stack.notp("alice", {"history", kPayments, "--limit", "100"});
  REQUIRE_MESSAGE(history.status == 0, history.error);
  std::map<uint64_t, Hash> roots;
  for (const json::value& row : at(history.document, "releases").as_array())
    roots[static_cast<uint64_t>(number_at(row, "version"))] = hash_at(row, "content_root");
  REQUIRE(roots.size() == kVersions);

  wire::Hello hello{.versions = {wire::kProtocolVersion}, .user_agent = "greedy"};
  for (const auto& [base, root] : roots)
    for (uint64_t version = 1; version <= kVersions; ++version)
      if (version != base && hello.wants.size() < limits::kLedgersPerSessionMax)
        hello.wants.push_back({.ledger = must(model::LedgerId::parse(kPayments)),
                               .base = wire::Base{base, root},
                               .version = version});
  const std::string stem = stack.issue("node", "greedy");
  const Bytes says = wire::encode_frame(hello);
  std::vector<std::unique_ptr<TlsClient>> sessions;
  for (size_t i = 0; i < limits::kSessionsPerIdentityMax; ++i) {
    sessions.push_back(std::make_unique<TlsClient>(
        static_cast<uint16_t>(stack.registry_port()),
        TlsClient::Options{.identity = transport::TlsFiles{stem + ".crt", stem + ".key", {}, {}},
                           .alpn = "\x06notp/1"}));
    REQUIRE(sessions.back()->ok());
    sessions.back()->send(says);
  }
  REQUIRE(wait_until(
      [&] { return stack.count_events("session_opened") >= limits::kSessionsPerIdentityMax; }));
  Others{stack}.are_served();
  set_single_approval_max(payments, 5'000);
  CHECK(stack.published(payments, kPayments) == static_cast<int64_t>(kVersions) + 1);
  sessions.clear();
  CHECK(stack.stop_registry() == 0);
}

TEST_CASE("while peers announce and do not send, want and do not read, others are served") {
  Stack stack;
  stack.allow_joins();
  stack.write_registry_config();
  stack.start_registry();
  const fs::path payments = stack.copy_example("payments");
  // More than sockets hold, and incompressible.
  std::string noise;
  while (noise.size() < 6 << 20) noise += to_hex(sha256(std::to_string(noise.size())).view());
  must(make_folders(payments / "payments/noise"));
  must(write_file(payments / "payments/noise/data.json",
                  json::serialize(json::object{{"noise", noise}})));
  REQUIRE(stack.published(payments, kPayments) == 1);

  const auto session = [&](const std::string& stem, const Bytes& says) {
    auto out = std::make_unique<TlsClient>(
        static_cast<uint16_t>(stack.registry_port()),
        TlsClient::Options{.identity = transport::TlsFiles{stem + ".crt", stem + ".key", {}, {}},
                           .alpn = "\x06notp/1"});
    REQUIRE(out->ok());
    out->send(says);
    return out;
  };
  const wire::Hello hello{.versions = {wire::kProtocolVersion}, .user_agent = "idle"};
  wire::Hello wants = hello;
  wants.wants = {{.ledger = must(model::LedgerId::parse(kPayments))}};
  wire::Publish announces{.request = 1, .ledger = must(model::LedgerId::parse(kGateway))};
  announces.version = 1;
  announces.size = limits::kArtifactBytesMax;
  announces.stream = 1;
  std::vector<std::unique_ptr<TlsClient>> silent;
  const std::string node = stack.issue("node", "deaf");
  for (size_t i = 0; i < limits::kSessionsPerIdentityMax; ++i)
    silent.push_back(session(node, wire::encode_frame(wants)));
  silent.push_back(session((stack.file("pki") / "bob").string(),
                           wire::encode_frame(hello) + wire::encode_frame(announces)));
  REQUIRE(wait_until([&] { return stack.count_events("session_opened") >= silent.size(); }));
  Others{stack}.are_served();
  set_single_approval_max(payments, 5'000);
  CHECK(stack.published(payments, kPayments) == 2);
  CHECK(stack.stop_registry() == 0);
}

TEST_CASE("a node that reports on more ledgers than are kept of one ends nothing") {
  Stack stack;
  stack.allow_joins();
  stack.write_registry_config();
  stack.start_registry();
  REQUIRE(stack.published(stack.copy_example("payments"), kPayments) == 1);
  const std::string stem = stack.issue("node", "talkative");
  for (size_t first = 0; first <= limits::kLedgersPerSessionMax; first += 40) {
    wire::Hello hello{.versions = {wire::kProtocolVersion}, .user_agent = "talkative"};
    Bytes reports;
    for (size_t i = first; i < first + 40; ++i) {
      const model::LedgerId ledger{100'000'000'000, fmt::format("l{}", i)};
      hello.wants.push_back({.ledger = ledger});
      reports += wire::encode_frame(
          wire::Commit{.ledger = ledger, .version = 1, .state = wire::CommitState::kActive});
    }
    TlsClient session(static_cast<uint16_t>(stack.registry_port()),
                      {.identity = transport::TlsFiles{stem + ".crt", stem + ".key", {}, {}},
                       .alpn = "\x06notp/1"});
    REQUIRE(session.ok());
    session.send(wire::encode_frame(hello) + reports + wire::encode_frame(wire::Ping{7}));
    REQUIRE_FALSE(session.read_some().empty());
  }
  for (int starts = 0; starts < 2; ++starts) {
    const CliResult nodes = stack.notp("eve", {"nodes"});
    CHECK_MESSAGE(nodes.status == 0, nodes.error);
    CHECK(stack.stop_registry() == 0);
    stack.start_registry();
  }
  Others{stack}.are_served();
}

}  // namespace
}  // namespace notp
