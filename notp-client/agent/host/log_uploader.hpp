// Ships the node's log of decisions over the session with the registry: runs the steps of a
// Shipper, which decides.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "common/clock.hpp"
#include "notp-client/agent/core/receipt_watch.hpp"
#include "notp-client/agent/host/receipt_verifier.hpp"
#include "notp-client/spool/shipper.hpp"
#include "protocol/session/client/client_session.hpp"
#include "protocol/transport/offload.hpp"

namespace notp::agent {

// A registry that says "fork" without end makes a node begin a new log so often at most; the files
// of kOldLogsKept logs are the other bound (spool/recovery.hpp).
inline constexpr TimeMs kNewLogMs = 60'000;

// All methods run on the executor's thread, which also calls the handlers. Segments are loaded on a
// thread of its own, one at a time; there receipts of the registry's tree are verified, too.
//
// When the log is a fork of what the registry has, or the registry lacks records that are deleted
// here, a new log is begun on the same thread, and ends the session: the next Hello offers it. The
// same holds for a log that was not open before.
class LogUploader {
 public:
  struct Handlers {
    std::function<void()> wake;  // the session has something to send
    // An alarm for a person: a segment cannot be loaded, so that shipping has stopped; a new log
    // has begun (kLogGap: what the one before has kept is missing at the registry), or could not.
    std::function<void(const Error&)> failed;
    // What is known of the registry's tree has changed: for Alarms::on_tree().
    std::function<void(const TreeWitness&)> tree;
    std::function<Now()> clock = read_clock;
  };
  // `log` outlives this object, and calls no handler once the executor's context has ended.
  LogUploader(boost::asio::any_io_executor executor, spool::SegmentSource& log, Handlers handlers);

  // Returns the offer for the Hello of the next session; nullopt: there is nothing to ship yet.
  std::optional<wire::LogOffer> next_offer();
  // The session with that Hello has begun; it lives until session_ended(). `registry`: whom it has
  // authenticated.
  void session_begins(session::ClientSession& session, spool::ReceiptPeer registry);
  void session_ended();
  // A grant arrived. The registry's refusal, or kMessage when it broke the rules: an alarm for the
  // operator, and nothing is shipped in this session any more.
  Result<void> granted(const wire::LogGrant& grant);
  // A receipt arrived: as ReceiptVerifier::take().
  void on_receipt(const wire::LogReceipt& receipt) {
    if (!stopping_) receipts_.take(receipt);
  }
  // What is known of the registry's tree now.
  TreeWitness tree_witness() const;
  // Starts no further work; a load under way completes.
  void stop() { stopping_ = true; }

 private:
  // Runs the steps that are due, unless a segment is being loaded.
  void run();
  static boost::asio::awaitable<void> load_and_send(std::weak_ptr<LogUploader*> self,
                                                    uint64_t session_number,
                                                    record::Position first);
  void send(Result<record::Segment> segment);
  // Whether no later session can ship the log.
  bool ends_log(const Error& refusal) const;
  // If the log cannot go on, and it is time.
  void begin_new_log();
  static boost::asio::awaitable<void> replace_log(std::weak_ptr<LogUploader*> self, Error refusal);
  void report_new_log(const Error& refusal, const Result<spool::NewLog>& begun);
  // Asks for a session whose Hello offers the log that there is now.
  void offer_again(const spool::SealedLog& log);

  const boost::asio::any_io_executor executor_;
  spool::SegmentSource& log_;
  const Handlers handlers_;
  spool::Shipper shipper_;
  session::ClientSession* session_ = nullptr;
  uint64_t session_number_ = 0;  // tells a load whose session has ended
  ReceiptVerifier receipts_;
  bool loading_ = false;
  bool stopping_ = false;
  record::LogId offered_;                     // in this session; zero: none
  record::Position acknowledged_before_ = 0;  // of the offered log, before this session
  struct NewLog {
    std::optional<Error> why;  // the offered log cannot go on; none was begun for it yet
    bool is_under_way = false;
    TimeMs next_ms = 0;  // boot time
  };
  NewLog new_log_;
  std::shared_ptr<LogUploader*> self_;  // ends with this object, which its callers may outlive
  transport::OffloadPool loader_{1};    // ends first: a load refers to the log
};

}  // namespace notp::agent
