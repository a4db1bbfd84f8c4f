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
// refused, and so is one beyond a client's quarter of them. The names of endpoints are looked up
// one after another for an io_context (Asio): a name server that is silent about one may make
// questions to others end by their timeout_ms.
class Introspector {
 public:
  // Reads the files. kConfig.
  static Result<std::unique_ptr<Introspector>> open(const IntrospectionConfig& config,
                                                    const Environment& environment);

  // Asks once, within timeout_ms, unless it was answered in the last cache_ms. Refusals:
  // kIntrospectionBusy, kBusy (the client's share); of read_introspection();
  // kIntrospectionUnavailable: no whole answer in time. The token is in no refusal, and in no log.
  // The introspector outlives the questions that it answers; of those that are dropped with their
  // executor it may be gone before.
  boost::asio::awaitable<TokenResult<Introspected>> ask(IntrospectionCall call);

  // Of the connection to the endpoint, and of this side's credentials there.
  std::vector<std::filesystem::path> files() const;
  // Reads the files again; what cannot be read leaves the ones before.
  void look();

 private:
  class Place;
  // What the files hold.
  struct Access {
    http::Client client;
    oauth::Credentials credentials;
  };
  // Questions under way. Theirs, too: they may outlive the introspector.
  struct UnderWay {
    Mutex mutex;
    size_t count NOTP_GUARDED_BY(mutex) = 0;
    std::unordered_map<std::string, size_t> of_clients NOTP_GUARDED_BY(mutex);
  };
  struct Kept {
    Introspected answer;
    TimeMs until_ms = 0;
  };
  Introspector(IntrospectionConfig config, Environment environment)
      : config_(std::move(config)), environment_(std::move(environment)) {}

  Result<std::shared_ptr<const Access>> read_files() const;
  TokenResult<http::Response> unanswered(const Error& error);
  boost::asio::awaitable<TokenResult<http::Response>> post(const IntrospectionCall& call);
  std::optional<Introspected> kept(const std::string& token_id, TimeMs now_ms);
  void keep(const std::string& token_id, const Introspected& answer, TimeMs now_ms);
  void forget(TimeMs now_ms) NOTP_REQUIRES(mutex_);

  const IntrospectionConfig config_;
  const Environment environment_;
  AtomicShared<Access> access_{nullptr};
  const std::shared_ptr<UnderWay> under_way_ = std::make_shared<UnderWay>();
  SystemRandom random_;
  Mutex mutex_;
  std::unordered_map<std::string, Kept> kept_ NOTP_GUARDED_BY(mutex_);
  std::deque<std::pair<TimeMs, std::string>> order_ NOTP_GUARDED_BY(mutex_);  // by until_ms
  TimeMs logged_ms_ NOTP_GUARDED_BY(mutex_) = kNever;
};

}  // namespace notp::txn
