// Asks issuers of subject tokens about them (RFC 7662).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/atomic_shared.hpp"
#include "common/http/client.hpp"
#include "common/mutex.hpp"
#include "notp-client/txn/introspection_config.hpp"
#include "notp-client/txn/issue/introspection.hpp"

namespace notp::txn {

// One question.
struct IntrospectionCall {
  std::string token;
  std::string token_id;  // by which its answer is kept
  std::string client;    // the workload whose request it is for
};

// One issuer's endpoint. Thread-safe. Nobody waits for another's question: one beyond `at_once` is
// refused, and so is one beyond a client's quarter of them.
class Introspector {
 public:
  // Reads the files. kConfig.
  static Result<std::unique_ptr<Introspector>> open(const IntrospectionConfig& config,
                                                    const Environment& environment);

  // Asks once, within timeout_ms, unless it was answered in the last cache_ms. Refusals:
  // kIntrospectionBusy, kBusy (the client's share); of read_introspection();
  // kIntrospectionUnavailable: no whole answer in time, a file that cannot be read. The token is in
  // no refusal, and in no log.
  boost::asio::awaitable<TokenResult<Introspected>> ask(IntrospectionCall call);

  // Of the connection to the endpoint.
  std::vector<std::filesystem::path> files() const;
  // Reads the files again; what cannot be read leaves the ones before.
  void look();

 private:
  class Place;
  struct Kept {
    Introspected answer;
    TimeMs until_ms = 0;
  };
  Introspector(IntrospectionConfig config, Environment environment, http::Client client);

  Result<http::Client> connect() const;
  TokenResult<http::Response> unanswered(const Error& error);
  boost::asio::awaitable<TokenResult<http::Response>> post(const IntrospectionCall& call);
  std::optional<Introspected> kept(const std::string& token_id, TimeMs now_ms);
  void keep(const std::string& token_id, const Introspected& answer, TimeMs now_ms);
  void forget(TimeMs now_ms) NOTP_REQUIRES(mutex_);

  const IntrospectionConfig config_;
  const Environment environment_;
  AtomicShared<http::Client> client_;
  Mutex mutex_;
  SystemRandom random_ NOTP_GUARDED_BY(mutex_);
  size_t under_way_ NOTP_GUARDED_BY(mutex_) = 0;
  std::unordered_map<std::string, size_t> of_clients_ NOTP_GUARDED_BY(mutex_);
  std::unordered_map<std::string, Kept> kept_ NOTP_GUARDED_BY(mutex_);
  std::deque<std::pair<TimeMs, std::string>> order_ NOTP_GUARDED_BY(mutex_);  // by until_ms
  TimeMs logged_ms_ NOTP_GUARDED_BY(mutex_) = kNever;
};

}  // namespace notp::txn
