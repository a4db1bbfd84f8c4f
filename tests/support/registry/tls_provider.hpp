// A provider of keys on this machine, over TLS, whose answers a test chooses.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <map>
#include <optional>

#include "common/mutex.hpp"
#include "tests/support/registry/hostile_provider.hpp"
#include "tests/support/wire/http_host.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp::sources {

// Keys are at <issuer>/keys. Thread-safe.
class TlsProvider {
 public:
  explicit TlsProvider(TestPki& pki, std::string address = "127.0.0.1")
      : files_(leaf(pki, address)) {
    host_.emplace([this](const http::Request& request) { return answer(request); },
                  http::ServerOptions{},
                  http::TlsEndpoint{.address = "127.0.0.1",
                                    .certificate = files_.certificate,
                                    .private_key = files_.private_key,
                                    .client_certificate = http::ClientCertificate::kNone});
    discovers(good_discovery());
  }

  std::string issuer() const { return fmt::format("https://127.0.0.1:{}", host_->server->port()); }
  std::string good_discovery() const {
    return fmt::format(R"({{"issuer":"{0}","jwks_uri":"{0}/keys"}})", issuer());
  }
  const transport::TlsFiles& files() const { return files_; }

  void discovers(std::string document) {
    const MutexLock lock(mutex_);
    answers_["/.well-known/openid-configuration"] = {.body = std::move(document)};
  }
  void serves(std::string key_set, http::Headers headers = {}) {
    const MutexLock lock(mutex_);
    answers_["/keys"] = {.headers = std::move(headers), .body = std::move(key_set)};
  }
  void answers(const std::string& path, http::Response response) {
    const MutexLock lock(mutex_);
    answers_[path] = std::move(response);
  }
  // Answers nothing until it is called with false.
  void hangs(bool hangs) { is_hanging_ = hangs; }

  // Requests for keys, and those of them that were answered 304.
  int fetches() const { return fetches_; }
  int unchanged() const { return unchanged_; }
  int waiting() const { return waiting_; }

 private:
  static transport::TlsFiles leaf(TestPki& pki, const std::string& address) {
    pki::LeafOptions options = pki.leaf("registry", "provider");
    options.addresses = {address};
    return pki.issue(options);
  }

  boost::asio::awaitable<http::Response> answer(const http::Request& request) {
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
    if (is_hanging_) ++waiting_;
    while (is_hanging_) {  // ends with its connection
      timer.expires_after(std::chrono::milliseconds(5));
      co_await timer.async_wait(boost::asio::use_awaitable);
    }
    const MutexLock lock(mutex_);
    const auto found = answers_.find(request.path);
    if (found == answers_.end()) co_return http::text_response(404, "no");
    if (request.path == "/keys") ++fetches_;
    const std::string_view etag = http::find_header(found->second.headers, "ETag");
    if (!etag.empty() && request.header("If-None-Match") == etag) {
      ++unchanged_;
      co_return http::Response{.status = 304, .headers = found->second.headers, .body = {}};
    }
    co_return found->second;
  }

  const transport::TlsFiles files_;
  Mutex mutex_;
  std::map<std::string, http::Response> answers_ NOTP_GUARDED_BY(mutex_);
  std::atomic<bool> is_hanging_ = false;
  std::atomic<int> fetches_ = 0, unchanged_ = 0, waiting_ = 0;
  std::optional<HttpHost> host_;
};

}  // namespace notp::sources
