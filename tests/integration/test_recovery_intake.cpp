// What nodes hold, on its way through a real server to the recovery: over TLS, asked from another
// thread, with every question answered once.
#include <doctest/doctest.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "protocol/session/client/client_session.hpp"
#include "tests/support/registry/bare_server.hpp"
#include "tests/support/wire/pumped_session.hpp"

namespace notp {
namespace {

using bare::Server;

constexpr size_t kArtifactBytes = 5 << 20;

wire::ReturnRequest return_request(uint64_t request) {
  return {request, samples::kLedger, 47, sha256("release 47"), 0};
}

// Keeps what comes, and lets the test's thread wait for it.
class Intake final : public serve::RecoveryIntake {
 public:
  void on_holds_more(const serve::SessionHandle& session,
                     const session::server_event::HoldsMore& more) override {
    keep(session, "holds v" + std::to_string(more.held_version));
  }
  void on_held(const serve::SessionHandle& session, wire::Held held) override {
    keep(session, "held " + std::to_string(held.releases.size()));
  }
  void on_returned(const serve::SessionHandle& session, wire::Return head,
                   std::unique_ptr<session::Upload> artifact) override {
    const Bytes bytes = artifact ? artifact->take().value() : Bytes();
    const std::string outcome =
        artifact ? std::to_string(bytes.size())
                 : std::string(error_traits(error_code_from_wire(head.code)).name);
    keep(session, "returned " + std::to_string(head.request) + " " + outcome);
  }
  void on_session_end(const serve::SessionHandle& session) override { keep(session, "end"); }

  // Blocks until so many reports have come.
  std::vector<std::string> wait_for(size_t count) {
    std::unique_lock lock(mutex_);
    CHECK(more_.wait_for(lock, std::chrono::seconds(60), [&] { return reports_.size() >= count; }));
    return reports_;
  }
  serve::SessionHandle session() {
    const std::lock_guard lock(mutex_);
    return session_;
  }

 private:
  void keep(const serve::SessionHandle& session, std::string report) {
    {
      const std::lock_guard lock(mutex_);
      CHECK(session.number > 0);
      CHECK(session.identity == test_uri("node", "edge-1"));
      session_ = session;
      reports_.push_back(std::move(report));
    }
    more_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable more_;
  std::vector<std::string> reports_;
  serve::SessionHandle session_;
};

enum class Conduct { kAnswers, kRefuses, kLeaves };

// Runs on its own thread until it, or the server, ends the session.
struct Node {
  Conduct conduct = Conduct::kAnswers;
  uint64_t held_version = 47;
  Loop loop;
  std::optional<transport::Wake> wake;
  std::optional<session::ClientSession> session;
  ErrorCode ended{};

  void on_event(session::client_event::HeldWanted& event) {
    session->held({event.request.ledger, {"an envelope", "another"}, {}, {}});
  }
  void on_event(session::client_event::ReturnWanted&) {
    if (conduct == Conduct::kLeaves) return session->say_bye("going");
    wire::Return refusal;
    refusal.code = static_cast<uint32_t>(ErrorCode::kNotFound);
    if (conduct == Conduct::kRefuses) return session->give_back(refusal, nullptr);
    session->give_back({}, std::make_shared<const Bytes>(kArtifactBytes, 'r'));
  }
  void on_event(session::client_event::Closed& event) { ended = event.error.code; }
  void on_event(auto&) {}

  asio::awaitable<void> talk(const Server& server, ContextPtr tls) {
    auto connection = must(co_await transport::connect(server.address, tls, kPatienceMs));
    wire::Hello hello{{wire::kProtocolVersion}, "test", 1, 0, {}};
    wire::Want want;
    want.ledger = samples::kLedger;
    want.base = wire::Base{held_version, sha256("content")};
    hello.wants.push_back(want);
    session.emplace(hello, std::vector<session::PartialArtifact>{}, read_clock());
    wake.emplace();
    co_await pump_events(*connection, *session, *wake, [this](auto& e) { on_event(e); });
  }
  std::thread start(Server& server) {
    loop.spawn(talk(server, context(server.pki.node("edge-1"), transport::Side::kClient)));
    return std::thread([this] { loop.run(); });
  }
};

TEST_CASE("what a node holds is asked for and comes back through the server") {
  Intake intake;
  std::optional<Server> server(std::in_place, nullptr, &intake);
  Node node;
  std::thread running = node.start(*server);
  intake.wait_for(1);
  const serve::SessionHandle session = intake.session();
  server->server.ask_held(session, {samples::kLedger, 3, 1});
  intake.wait_for(2);
  for (uint64_t request = 1; request <= 3; ++request) {
    server->server.ask_return(session, return_request(request));
    intake.wait_for(2 + request);
  }
  const std::string size = std::to_string(kArtifactBytes);
  CHECK(intake.wait_for(5) == std::vector<std::string>{"holds v47", "held 2", "returned 1 " + size,
                                                       "returned 2 " + size, "returned 3 " + size});
  server.reset();
  running.join();
  CHECK(intake.wait_for(6).back() == "end");
  CHECK(node.ended == ErrorCode::kCancelled);
}

TEST_CASE("every question for a release has one answer: refused, in vain, or too late") {
  Intake intake;
  Server server(nullptr, &intake);
  SUBCASE("the node refuses") {
    Node node{.conduct = Conduct::kRefuses};
    std::thread running = node.start(server);
    intake.wait_for(1);
    server.server.ask_return(intake.session(), return_request(1));
    CHECK(intake.wait_for(2).back() == "returned 1 not_found");
    // Not of a ledger that the session serves.
    auto other = return_request(2);
    other.ledger = session::kOther;
    server.server.ask_return(intake.session(), other);
    CHECK(intake.wait_for(3).back() == "returned 2 state");
    server.server.ask_held(intake.session(), {session::kOther, 0, 0});
    server.server.close();
    running.join();
    CHECK(intake.wait_for(4).back() == "end");
  }
  SUBCASE("the node leaves in between, and is asked again when it has gone") {
    Node node{.conduct = Conduct::kLeaves};
    std::thread running = node.start(server);
    intake.wait_for(1);
    server.server.ask_return(intake.session(), return_request(1));
    running.join();
    CHECK(intake.wait_for(3) ==
          std::vector<std::string>{"holds v47", "returned 1 unavailable", "end"});
    server.server.ask_held(intake.session(), {samples::kLedger, 3, 1});
    server.server.ask_return(intake.session(), return_request(2));
    CHECK(intake.wait_for(4).back().starts_with("returned 2 "));
  }
  SUBCASE("a second question before the answer to the first") {
    Node node;
    std::thread running = node.start(server);
    intake.wait_for(1);
    for (uint64_t request = 1; request <= 2; ++request)
      server.server.ask_return(intake.session(), return_request(request));
    const auto reports = intake.wait_for(3);
    CHECK(reports.at(1) == "returned 2 conflict");
    CHECK(reports.at(2) == "returned 1 " + std::to_string(kArtifactBytes));
    server.server.close();
    running.join();
  }
}

TEST_CASE("a node that holds no more than the registry is not reported, nor its end") {
  Intake intake;
  Server server(nullptr, &intake);
  Node node{.held_version = 3};
  std::thread running = node.start(server);
  while (server.server.counters().sessions == 0) std::this_thread::yield();
  server.server.close();
  running.join();
  CHECK(intake.wait_for(0).empty());
}

TEST_CASE("a server without a recovery asks nothing") {
  Server server(nullptr);
  Node node;
  std::thread running = node.start(server);
  while (server.server.counters().sessions == 0) std::this_thread::yield();
  server.server.ask_return({.number = 1, .identity = "nobody"}, return_request(1));
  server.server.close();
  running.join();
  CHECK(node.ended == ErrorCode::kCancelled);
}

}  // namespace
}  // namespace notp
