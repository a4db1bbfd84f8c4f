// A session's log on its way through a real server to its intake: over TLS, in order, one step at a
// time.
#include <doctest/doctest.h>

#include <boost/asio/post.hpp>
#include <mutex>

#include "protocol/session/client/client_session.hpp"
#include "tests/support/registry/bare_server.hpp"
#include "tests/support/wire/pumped_session.hpp"
#include "tests/support/wire/wire_samples.hpp"

namespace notp {
namespace {

using bare::Server;
using wire::samples::log_id;

// Acknowledges each segment after letting everything else on the thread go first.
class Intake final : public serve::LogIntake {
 public:
  asio::awaitable<wire::LogGrant> offered(serve::PeerPtr peer, wire::LogOffer offer) override {
    co_return co_await step("offer of " + peer->name + " at " + std::to_string(offer.size), 0,
                            /*announce=*/true);
  }
  asio::awaitable<wire::LogGrant> announced(serve::PeerPtr, record::LogId,
                                            Bytes announcement) override {
    co_return co_await step(announcement, 0);
  }
  asio::awaitable<wire::LogGrant> arrived(serve::PeerPtr, wire::Segment segment,
                                          Bytes body) override {
    co_return co_await step(
        "segment " + std::to_string(segment.head.first) + " of " + std::to_string(body.size()),
        segment.head.end());
  }

  std::vector<std::string> steps() const {
    const std::lock_guard lock(mutex_);
    return steps_;
  }
  size_t most_at_once() const {
    const std::lock_guard lock(mutex_);
    return most_at_once_;
  }
  record::Position refuse_from = UINT64_MAX;

 private:
  asio::awaitable<wire::LogGrant> step(std::string what, record::Position next,
                                       bool announce = false) {
    {
      const std::lock_guard lock(mutex_);
      steps_.push_back(std::move(what));
      most_at_once_ = std::max(most_at_once_, ++inside_);
    }
    for (int i = 0; i < 20; ++i) {
      const auto executor = co_await asio::this_coro::executor;
      co_await asio::post(executor, asio::use_awaitable);
    }
    const std::lock_guard lock(mutex_);
    --inside_;
    wire::LogGrant grant;
    grant.log = log_id();
    grant.next = next;
    grant.window_bytes = limits::kLogWindowBytes;
    grant.announce = announce;
    if (next >= refuse_from) grant.code = static_cast<uint32_t>(ErrorCode::kLogFork);
    co_return grant;
  }

  mutable std::mutex mutex_;
  std::vector<std::string> steps_;
  size_t inside_ = 0, most_at_once_ = 0;
};

record::Segment segment_at(record::Position first) {
  record::SegmentHead head = wire::samples::segment_head();
  head.first = first;
  head.count = 10;
  head.content_bytes = 100'000;
  return {head, Bytes(60'000 + first, 'b'), {}};
}

// A node with five segments: sends all that it may, and says Bye when nothing more will come.
struct Node {
  Loop loop;
  std::optional<transport::Wake> wake;
  std::optional<session::ClientSession> session;
  std::vector<wire::LogGrant> grants;
  bool answered = false;  // a Request that was sent behind the offer

  void on_event(session::client_event::LogGranted& event) {
    grants.push_back(event.grant);
    if (event.grant.announce) {
      session->announce_log("announcement");
      for (record::Position first = 0; first < 50; first += 10)
        session->send_segment(segment_at(first));
    }
    if (event.grant.next == 50 || event.grant.code != 0) session->say_bye("done");
  }
  void on_event(session::client_event::Answered&) {
    answered = true;
    if (is_without_logs) session->say_bye("done");
  }
  void on_event(auto&) {}

  asio::awaitable<void> talk(const Server& server, ContextPtr tls) {
    auto connection = must(co_await transport::connect(server.address, tls, kPatienceMs));
    wire::Hello hello{{wire::kProtocolVersion}, "test", 1, 0, {}};
    hello.log = wire::samples::log_offer();
    session.emplace(hello, std::vector<session::PartialArtifact>{}, read_clock());
    session->request(wire::Request{1, wire::TrustRequest{}});
    wake.emplace();
    co_await pump_events(*connection, *session, *wake, [this](auto& e) { on_event(e); });
  }
  void talk_to(Server& server) {
    loop.spawn(talk(server, context(server.pki.node("edge-1"), transport::Side::kClient)));
    loop.run();
  }
  bool is_without_logs = false;
};

TEST_CASE("a server hands a log to its intake in order, one step at a time") {
  Intake intake;
  Server server(&intake);
  Node node;
  node.talk_to(server);
  CHECK(intake.steps() == std::vector<std::string>{
                              "offer of " + test_uri("node", "edge-1") + " at 2048", "announcement",
                              "segment 0 of 60000", "segment 10 of 60010", "segment 20 of 60020",
                              "segment 30 of 60030", "segment 40 of 60040"});
  CHECK(intake.most_at_once() == 1);
  CHECK(node.grants.size() == 7);
  CHECK(node.grants.back().next == 50);
}

TEST_CASE("after a refusal the intake gets nothing more of the session's log") {
  Intake intake;
  intake.refuse_from = 20;
  Server server(&intake);
  Node node;
  node.talk_to(server);
  CHECK(intake.steps().size() == 4);
  CHECK(node.grants.back().code == static_cast<uint32_t>(ErrorCode::kLogFork));
}

TEST_CASE("a server without an intake grants no log, and serves everything else") {
  Server server(nullptr);
  Node node;
  node.is_without_logs = true;
  node.talk_to(server);
  CHECK(node.answered);
  CHECK(node.grants.empty());
}

}  // namespace
}  // namespace notp
