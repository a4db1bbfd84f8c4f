// Ships the node's log of decisions over the session with the registry: runs the steps of a
// Shipper, which decides.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "notp-client/spool/shipper.hpp"
#include "protocol/session/client/client_session.hpp"
#include "protocol/transport/offload.hpp"

namespace notp::agent {

// All methods run on the executor's thread, which also calls the handlers. Segments are loaded on a
// thread of its own, one at a time.
class LogUploader {
 public:
  struct Handlers {
    std::function<void()> wake;                // the session has something to send
    std::function<void(const Error&)> failed;  // a segment cannot be loaded: shipping has stopped
  };
  // `log` outlives this object, and calls no handler once the executor's context has ended.
  LogUploader(boost::asio::any_io_executor executor, spool::SegmentSource& log, Handlers handlers);

  // Returns the offer for the Hello of the next session; nullopt: there is nothing to ship yet.
  std::optional<wire::LogOffer> next_offer();
  // The session with that Hello has begun; it lives until session_ended().
  void session_begins(session::ClientSession& session);
  void session_ended();
  // A grant arrived. The registry's refusal, or kMessage when it broke the rules: an alarm for the
  // operator, and nothing is shipped in this session any more.
  Result<void> granted(const wire::LogGrant& grant);
  // Starts no further work; a load under way completes.
  void stop() { stopping_ = true; }

 private:
  // Runs the steps that are due, unless a segment is being loaded.
  void run();
  static boost::asio::awaitable<void> load_and_send(std::weak_ptr<LogUploader*> self,
                                                    uint64_t session_number,
                                                    record::Position first);
  void send(Result<record::Segment> segment);

  const boost::asio::any_io_executor executor_;
  spool::SegmentSource& log_;
  const Handlers handlers_;
  spool::Shipper shipper_;
  session::ClientSession* session_ = nullptr;
  uint64_t session_number_ = 0;  // tells a load whose session has ended
  bool loading_ = false;
  bool stopping_ = false;
  std::shared_ptr<LogUploader*> self_;  // ends with this object, which its callers may outlive
  transport::OffloadPool loader_{1};    // ends first: a load refers to the log
};

}  // namespace notp::agent
