// A real server of sessions over TLS, around a registry that has heads and no content.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/serve/log_intake.hpp"
#include "protocol/serve/recovery_intake.hpp"
#include "protocol/serve/session_server.hpp"
#include "tests/support/registry/served_session.hpp"
#include "tests/support/wire/tls_ends.hpp"

namespace notp::bare {

using session::ServedRegistry;

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

// With at most eight sessions, on one thread.
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

  explicit Server(serve::LogIntake* logs, serve::RecoveryIntake* recovery = nullptr,
                  serve::LaneFeed* lanes = nullptr)
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
                .logs = logs,
                .recovery = recovery,
                .lanes = lanes},
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

}  // namespace notp::bare
