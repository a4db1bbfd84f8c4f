// A session's log on its way through a real server to its intake: over TLS, in order, one step at a
// time.
#include <doctest/doctest.h>

#include <boost/asio/post.hpp>
#include <mutex>

#include "protocol/serve/log_intake.hpp"
#include "protocol/serve/session_server.hpp"
#include "protocol/session/client/client_session.hpp"
#include "protocol/transport/pump.hpp"
#include "tests/support/registry/served_session.hpp"
#include "tests/support/wire/tls_ends.hpp"
#include "tests/support/wire/wire_samples.hpp"

namespace notp {
namespace {

using session::ServedRegistry;
using wire::samples::log_id;

// Nothing that a session without ledgers needs.
struct NoReleases final : serve::ReleaseSource {
  std::optional<uint64_t> newest(const model::LedgerId&) const override { return std::nullopt; }
  Result<Hash> hash(const model::LedgerId&, uint64_t) const override {
    return fail(ErrorCode::kNotFound, "no releases");
  }
  Result<delta::HeldReleasePtr> release(const model::LedgerId&, uint64_t) override {
    return fail(ErrorCode::kNotFound, "no releases");
  }
  std::vector<std::pair<uint64_t, model::TreePtr>> recent_trees(
      const model::LedgerId&) const override {
    return {};
  }
};

struct AdmitAll final : serve::PeerPolicy {
  Result<void> check(const serve::Peer&) const override { return {}; }
  Result<void> may(const serve::Peer&, wire::Action, const model::LedgerId*) const override {
    return {};
  }
  void admitted(const serve::PeerPtr&) override {}
};

struct ObserveNothing final : serve::SessionObserver {
  void greeted(const serve::Peer&, const session::server_event::Greeted&) override {}
  void committed(const serve::Peer&, const wire::Commit&) override {}
  void attested(const serve::Peer&, const trust::Freshness&) override {}
  void closed(const serve::Peer&, const Error&) override {}
  void departed(const serve::Peer&) override {}
};

struct AnswerNothing final : serve::RequestServices {
  asio::awaitable<wire::PublishResult> publish(serve::PeerPtr,
                                               session::server_event::PublishArrived) override {
    co_return wire::PublishResult{};
  }
  asio::awaitable<wire::Response> answer(serve::PeerPtr, wire::Request request) override {
    co_return wire::Response{.request = request.request};
  }
};

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

struct Server {
  TestPki pki;
  ServedRegistry registry;
  NoReleases releases;
  serve::ArtifactCache cache;
  transport::OffloadPool pool{1};
  serve::FairLane lane{pool, "artifacts", {.running_max = 1}};
  serve::SessionArtifacts artifacts{
      releases, cache, lane,
      [](const auto&, uint64_t, const Hash&, const auto&) -> Result<serve::ArtifactPtr> {
        return fail(ErrorCode::kNotFound, "no releases");
      }};
  AdmitAll policy;
  ObserveNothing observer;
  AnswerNothing requests;
  std::unique_ptr<transport::TlsSource> tls =
      must(transport::TlsSource::open(pki.registry(), transport::Side::kServer));
  serve::SessionServer server;
  std::string address;

  explicit Server(serve::LogIntake* logs)
      : server({.catalog = registry,
                .targets = registry,
                .freshness = nullptr,
                .uploads = nullptr,
                .info = {"test", std::string(kTestDomain), {}},
                .tls = *tls,
                .artifacts = artifacts,
                .peers = policy,
                .observer = observer,
                .requests = requests,
                .logs = logs},
               {.listen = "127.0.0.1:0",
                .threads = 1,
                .limits = {.sessions_max = 8, .sessions_per_identity_max = 8}}),
        address(must(server.start())) {}
  ~Server() {
    server.close();
    lane.close();
    pool.join();
    server.join();
  }
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
  std::optional<transport::Signal> wake;
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
    wake.emplace(connection->executor());
    const std::function<void()> after_event = [this] {
      for (session::ClientEvent& event : session->take_events())
        std::visit([this](auto& e) { on_event(e); }, event);
    };
    must(co_await transport::pump(*connection, *session, *wake, after_event));
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
