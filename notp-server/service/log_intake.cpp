#include "notp-server/service/log_intake.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <utility>

namespace notp::service {
namespace {

namespace asio = boost::asio;

// Calls `begin(done)` and resumes the caller on its own executor with the grant.
template <typename Begin>
asio::awaitable<wire::LogGrant> answer_of(Begin begin) {
  auto start = [](auto handler, Begin moved) {
    auto home = asio::make_work_guard(asio::get_associated_executor(handler));
    // A Done can be copied, a handler cannot.
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    moved([shared = std::move(shared), home = std::move(home)](wire::LogGrant grant) {
      asio::post(home.get_executor(),
                 [shared, grant = std::move(grant)]() mutable { (*shared)(std::move(grant)); });
    });
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(wire::LogGrant)>(
      std::move(start), asio::use_awaitable, std::move(begin));
}

}  // namespace

asio::awaitable<wire::LogGrant> RegistryLogIntake::offered(serve::PeerPtr peer,
                                                           wire::LogOffer offer) {
  fleet_.log_offered(peer->name, offer.oldest_age_ms, clock_().wall_ms);
  wire::LogGrant grant = co_await answer_of([this, peer, offer](audit::LogWriter::Done done) {
    writer_.offered(peer->name, offer, std::move(done));
  });
  // A window of 0 says nothing of the log: there was no room to look at it.
  if (grant.code != 0 || grant.window_bytes != 0)
    fleet_.log_compared(peer->name, grant.code == 0 && grant.next >= offer.size, clock_().wall_ms);
  co_return grant;
}

asio::awaitable<wire::LogGrant> RegistryLogIntake::announced(serve::PeerPtr peer, record::LogId log,
                                                             Bytes announcement) {
  co_return co_await answer_of([this, peer, log, announcement = std::move(announcement)](
                                   audit::LogWriter::Done done) mutable {
    writer_.announced(peer->name, log, std::move(announcement), std::move(done));
  });
}

asio::awaitable<wire::LogGrant> RegistryLogIntake::arrived(serve::PeerPtr peer,
                                                           wire::Segment segment, Bytes body) {
  const TimeMs arrived_ms = clock_().wall_ms;
  const record::Position end = segment.head.end();
  const uint64_t oldest_age_ms = segment.oldest_age_ms;
  fleet_.segment_arrived(peer->name, arrived_ms);
  record::Segment whole{.head = std::move(segment.head),
                        .body = std::move(body),
                        .subtrees = std::move(segment.subtrees)};
  wire::LogGrant grant = co_await answer_of(
      [this, peer, whole = std::move(whole)](audit::LogWriter::Done done) mutable {
        writer_.arrived(peer->name, std::move(whole), std::move(done));
      });
  if (grant.code == 0 && grant.next >= end)
    fleet_.segment_stored(peer->name, arrived_ms, oldest_age_ms);
  else
    fleet_.segment_not_stored(peer->name, arrived_ms);
  co_return grant;
}

void RegistryLogIntake::granted(serve::PeerPtr peer, const wire::LogOffer& offer,
                                SendReceipt send) {
  if (tree_ != nullptr) tree_->granted(peer->name, offer, std::move(send));
}

void RegistryLogIntake::witnessed(serve::PeerPtr peer, wire::LogWitness witness) {
  if (tree_ == nullptr) return;
  const auto key = writer_.key_of(witness.log);
  tree_->witnessed(peer->name, std::move(witness), key);
}

void RegistryLogIntake::stop() {
  writer_.stop();
  if (tree_ != nullptr) tree_->stop();
}

}  // namespace notp::service
