// Keys of tokens that a key set lacked, on their way from decisions to the agent's core.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/mutex.hpp"
#include "protocol/wire/messages/sources.hpp"

namespace notp::pdp {

using UnknownKeyReport = std::function<void(const std::vector<wire::UnknownKey>&)>;

// Takes "unknown_keys" out of the extras of an evaluation (common/rego/host/question.hpp): they are
// for the agent, not for who asked or for a record.
std::vector<wire::UnknownKey> take_unknown_keys(Bytes& extras);

// Passes them on without blocking: the newest of each issuer, at once, then every
// kUnknownKeysTakenMs. Those of more than kUnknownKeysWaitingMax issuers are dropped. add() on any
// thread.
class UnknownKeyQueue : public std::enable_shared_from_this<UnknownKeyQueue> {
 public:
  // `report` is called on the executor, until close().
  UnknownKeyQueue(boost::asio::any_io_executor executor, UnknownKeyReport report);

  void add(std::vector<wire::UnknownKey> keys);
  // On the executor, or when it does not run.
  void close();

 private:
  void pass_on();

  const boost::asio::any_io_executor executor_;
  UnknownKeyReport report_;  // on the executor, as is the timer
  boost::asio::steady_timer timer_;
  Mutex mutex_;
  std::map<std::string, std::string> waiting_ NOTP_GUARDED_BY(mutex_);  // kid by issuer
  bool is_passing_ NOTP_GUARDED_BY(mutex_) = false;  // pass_on() is posted, or the timer runs
};

}  // namespace notp::pdp
