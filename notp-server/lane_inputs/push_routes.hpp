// Which source of which lane a request is for: POST /lane/<lane>/events and /lane/<lane>/sets.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/http/message.hpp"
#include "common/jose/token.hpp"
#include "common/mutex.hpp"

namespace notp::lane_inputs {

enum class PushForm : uint8_t {
  kEvents,  // the own form
  kSets,    // RFC 8935
};

// Nothing in it is verified, except the client's certificate.
struct PushRequest {
  const http::Request& http;
  std::optional<Result<jose::Token>> token;  // kSets: the body; kEvents: the bearer token, if any
};

// How well a request and a source fit; the greatest of a lane's sources counts.
enum class PushFit : uint8_t { kNo, kPartly, kWhole };

// A source that receives requests. Thread-safe; shared with requests that are under way.
class PushReceiver {
 public:
  virtual ~PushReceiver() = default;
  // By who sends it, as far as it says so itself.
  virtual PushFit fit(const PushRequest& request) const = 0;
  // Checks who sends it, takes what it brings, and answers after the commit.
  virtual boost::asio::awaitable<http::Response> receive(const PushRequest& request) = 0;
};

// Thread-safe.
class PushRoutes {
 public:
  // Whether a certificate's URI may be used, however good the certificate is; thread-safe. Empty:
  // each may.
  using Admits = std::function<Result<void>(const std::string& identity)>;

  explicit PushRoutes(Admits admits = {}) : admits_(std::move(admits)) {}

  void add(const std::string& lane, PushForm form, std::shared_ptr<PushReceiver> receiver);
  void remove(const std::shared_ptr<PushReceiver>& receiver);

  // Answers a request of whatever path.
  boost::asio::awaitable<http::Response> answer(const http::Request& request) const;

 private:
  using Receivers = std::vector<std::shared_ptr<PushReceiver>>;
  // Empty: there is no such lane, or no source of this form.
  Receivers receivers_of(const std::string& lane, PushForm form) const;

  // Refuses a certificate that is denied, whatever else the request shows.
  std::optional<http::Response> refuse_certificate(const http::Request& request) const;

  const Admits admits_;
  mutable Mutex mutex_;
  std::map<std::pair<std::string, PushForm>, Receivers> receivers_ NOTP_GUARDED_BY(mutex_);
};

// One of the requests of a source that wait for a commit.
class PushPlace {
 public:
  explicit PushPlace(std::atomic<size_t>& waiting) : waiting_(waiting), number_(++waiting) {}
  ~PushPlace() { --waiting_; }
  PushPlace(const PushPlace&) = delete;
  PushPlace& operator=(const PushPlace&) = delete;
  // Fewer than kPushesMax waited before it.
  bool is_free() const;

 private:
  std::atomic<size_t>& waiting_;
  const size_t number_;
};

// --- answers

// RFC 8935 §2.4.
http::Response set_error(std::string_view code, std::string_view description);
// 429 or 503 by the error, with Retry-After.
http::Response try_again(const Error& error, int64_t after_s);
// The media type of a body in lower case, without parameters.
std::string media_type_of(const http::Request& request);

}  // namespace notp::lane_inputs
